import { floats } from "../core/array.ts";
import { grad } from "../graph/grad.ts";
import { conv2d } from "../graph/ops/convolution.ts";
import { mul } from "../graph/ops/elementwise.ts";
import { reduceSum } from "../graph/ops/layout.ts";
import { input } from "../graph/ops/source.ts";
import { ortRuntime } from "./ort-runtime.ts";

/** What kernels take: with AVX-512, and with AVX. */
const BLOCKS = [16, 8];
const [CHANNELS, SIDE] = [32, 2];

let known: Promise<number | undefined> | undefined;

/**
 * How many channels ONNX Runtime's convolutions on this processor want side by side, which it tells nobody: the size with which a small
 * one and its gradient come out right. Tried in a process of its own, since on a processor that has no such kernels it may end.
 * @returns nothing if none does
 */
export function channelBlock(): Promise<number | undefined> {
  known ??= find();
  return known;
}

async function find(): Promise<number | undefined> {
  const expected = await probed(undefined);
  for (const block of BLOCKS) {
    const found = await probed(block).catch(() => undefined);
    if (found?.every((values, i) => values.every((v, at) => v === expected[i]![at]))) return block;
  }
  return undefined;
}

/** Small whole numbers, whose sums are exact in whatever order. */
const whole = (count: number, seed: number): Float32Array => Float32Array.from({ length: count }, (_, i) => ((i * seed) % 7) - 3);

async function probed(block: number | undefined): Promise<readonly Float32Array[]> {
  const runtime = ortRuntime({ threads: 1, block });
  try {
    const [dims, kernel] = [
      [1, CHANNELS, SIDE, SIDE],
      [CHANNELS, CHANNELS, 3, 3],
    ];
    const [x, w, weights] = [input("x", dims), input("w", kernel), input("weights", dims)];
    const y = conv2d(x, w, undefined, { stride: 1, pads: [1, 1, 1, 1] });
    const [dx] = grad(reduceSum(mul(y, weights), [0, 1, 2, 3]), [x]);
    const session = await runtime.load({ y, dx: dx! });
    const size = CHANNELS * SIDE ** 2;
    const feeds = {
      x: floats(whole(size, 3), ...dims),
      w: floats(whole(CHANNELS ** 2 * 9, 5), ...kernel),
      weights: floats(whole(size, 11), ...dims),
    };
    const { y: made, dx: gradient } = await session.run(feeds);
    return [made.data as Float32Array, gradient.data as Float32Array];
  } finally {
    await runtime.close();
  }
}
