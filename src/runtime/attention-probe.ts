import type { FloatArray } from "../core/array.ts";
import { floats } from "../core/array.ts";
import { attention, attentionOp } from "../graph/ops/attention.ts";
import { input } from "../graph/ops/source.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { Feeds } from "./runtime.ts";

// The positions of a text encoder, and enough heads to notice mixed-up heads. Wrong results began at 32 positions.
const POSITIONS = 77;
const HEADS = 2;
const WIDTH = 128;
/** Tolerated error, relative to the largest number. Correct results differed by 2e-6, wrong ones by 1e-2 and more. */
const ROUNDING = 1e-3;

const dims = [1, POSITIONS, WIDTH] as const;
const [q, k, v] = [input("q", dims), input("k", dims), input("v", dims)];
const both = (causal: boolean): readonly [own: Tensor, plain: Tensor] => {
  const attrs = { heads: HEADS, causal };
  return [attention(q, k, v, attrs), attentionOp.expand!([q, k, v], attrs)];
};
const [seen, seenPlain] = both(false);
const [causal, causalPlain] = both(true);

/**
 * Graphs of a device's own attention, and of the same by products and a softmax. ONNX Runtime's attention on WebGPU has been wrong on some devices:
 * onnxruntime #28520 reports NVIDIA's, and Chromium's software adapter is off by 1 to 14 % (1.30).
 */
export const attentionProbe = { seen, seenPlain, causal, causalPlain };

const waves = (start: number): FloatArray =>
  floats(
    Float32Array.from({ length: POSITIONS * WIDTH }, (_, i) => 3 * Math.sin(12.9898 * (i + start))),
    ...dims,
  );
export const attentionProbeFeeds: Feeds = { q: waves(1), k: waves(2.3), v: waves(5.7) };

/** Checks whether a device's own attention is correct. @param values outputs of {@link attentionProbe} */
export function attentionIsRight(values: Readonly<Record<keyof typeof attentionProbe, FloatArray>>): boolean {
  const close = (a: Float32Array, b: Float32Array): boolean => {
    const most = b.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
    return a.every((x, i) => Math.abs(x - b[i]!) <= ROUNDING * most); // false for NaN
  };
  return close(values.seen.data, values.seenPlain.data) && close(values.causal.data, values.causalPlain.data);
}
