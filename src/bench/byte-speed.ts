import { floats } from "../core/array.ts";
import { type QuantisedWeight, quantisedLinear } from "../graph/ops/quantised.ts";
import { input } from "../graph/ops/source.ts";
import { withRuntime } from "../sessions/runtimes.node.ts";

/** A chain of layers with the sizes of those in SDXL's largest transformers; the last is small, so that little is copied. */
const [ROWS, WIDTH, LAYERS, LAST] = [1024, 1280, 10, 8];
const RUNS = 8;

/**
 * Products of 8-bit numbers that this machine's processor makes in a second, as the UNet makes them: 2 for a multiplication and an addition. The
 * quickest of some runs counts, since other programs only slow it down. It takes about a second.
 * @param now clock, milliseconds
 */
export function byteSpeed(now: () => number, signal?: AbortSignal): Promise<number> {
  const source = (of: Int8Array | Float32Array) => ({ kind: "bytes" as const, bytes: new Uint8Array(of.buffer) });
  const weightTo = (name: string, out: number): QuantisedWeight => {
    const bytes = Int8Array.from({ length: WIDTH * out }, (_, i) => ((i * 37) % 127) - 63);
    const scales = new Float32Array(out).fill(0.001);
    return {
      weight: { path: name, entry: { name, dtype: "I8", shape: [WIDTH, out], source: source(bytes) } },
      scales: { path: `${name}:s`, entry: { name: "s", dtype: "F32", shape: [out], source: source(scales) } },
    };
  };
  let y = input("x", [ROWS, WIDTH]);
  for (let layer = 0; layer < LAYERS; layer++) y = quantisedLinear(y, weightTo(`${layer}`, WIDTH));
  y = quantisedLinear(y, weightTo("last", LAST));
  const feeds = {
    x: floats(
      Float32Array.from({ length: ROWS * WIDTH }, (_, i) => Math.sin(i)),
      ROWS,
      WIDTH,
    ),
  };
  return withRuntime({}, async (runtime) => {
    const session = await runtime.load({ y });
    let least = Number.POSITIVE_INFINITY;
    for (let run = 0; run < RUNS; run++) {
      signal?.throwIfAborted();
      const start = now();
      await session.run(feeds);
      least = Math.min(least, now() - start);
    }
    return (2 * ROWS * WIDTH * (WIDTH * LAYERS + LAST)) / (Math.max(least, 1e-3) / 1000);
  });
}
