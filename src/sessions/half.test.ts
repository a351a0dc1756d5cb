import { afterAll, expect, test } from "vitest";
import { floats, integers, type NdArray } from "../core/array.ts";
import { inputOp } from "../graph/ops/source.ts";
import { inOrder } from "../graph/rewrite.ts";
import { is, type Tensor } from "../graph/tensor.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { goldenPath } from "../testing/golden.ts";
import { openModel } from "../weights/open-model.node.ts";
import { textGraph, unetGraph } from "./graphs.ts";

/** ONNX Runtime's CPU provider computes float16 nodes in float32 and casts, so results are rounded as in float16. */
const runtime = ortRuntime({ threads: 1 });
afterAll(() => runtime.close());
const SIZES: Readonly<Record<string, number>> = { batch: 2, tokens: 48, height: 16, width: 16 };

function feedsFor(outputs: Readonly<Record<string, Tensor>>): Record<string, NdArray> {
  const inputs = inOrder(Object.values(outputs)).filter((t) => is(t, inputOp));
  return Object.fromEntries(
    inputs.map((t) => {
      const dims = t.shape.map((d) => (typeof d === "number" ? d : SIZES[d.key]!));
      const length = dims.reduce((a, b) => a * b, 1);
      const wave = Float32Array.from({ length }, (_, i) => 1.5 * Math.sin(12.9898 * i));
      const ids = Array.from({ length }, (_, i) => (i * 7) % 40);
      return [(t.attrs as { name: string }).name, t.dtype === "i64" ? integers(ids, ...dims) : floats(wave, ...dims)];
    }),
  );
}

test.each(["unet", "text_encoder", "text_encoder_2"] as const)(
  "%s in half precision is close to float32, and not equal",
  async (name) => {
    const model = await openModel(goldenPath("tiny-sdxl"), {});
    const graph = name === "unet" ? unetGraph(model, new Map()) : textGraph(model, name, new Map());
    const { outputs } = graph.unfinished;
    const feeds = feedsFor(outputs);
    const [full, half] = await Promise.all(
      [false, true].map(async (half) => (await runtime.load<string>(outputs, { half })).run(feeds)),
    );
    const errors = Object.keys(outputs).map((key) => {
      const [expected, found] = [full![key]!.data as Float32Array, half![key]!.data as Float32Array];
      const power = (xs: Float32Array): number => Math.sqrt(xs.reduce((sum, x) => sum + x * x, 0));
      return power(found.map((x, i) => x - expected[i]!)) / power(expected);
    });
    expect(Math.max(...errors)).toBeLessThan(5e-3); // 2^-11 for each of some dozens of roundings
    expect(Math.max(...errors)).toBeGreaterThan(1e-5);
  },
);
