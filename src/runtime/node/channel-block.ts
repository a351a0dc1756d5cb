import { floats, type NdArray } from "../../core/array.ts";
import { grad } from "../../graph/grad.ts";
import { conv2d } from "../../graph/ops/convolution.ts";
import { mul } from "../../graph/ops/elementwise.ts";
import { reduceSum } from "../../graph/ops/layout.ts";
import { input, param } from "../../graph/ops/source.ts";
import type { Tensor } from "../../graph/tensor.ts";
import { ortRuntime } from "./ort-runtime.ts";

/** Block sizes of kernels, for AVX-512 and for AVX. */
const BLOCKS = [16, 8];
const [CHANNELS, SIDE] = [32, 2];

let known: Promise<number | undefined> | undefined;

/**
 * Finds the number of channels per block in ONNX Runtime's convolutions on this processor, which it does not report: the size with which a small
 * convolution and its gradient give correct results. Sizes are tried in a process of its own, which may crash without such kernels.
 * @returns undefined if no size does
 */
export function channelBlock(): Promise<number | undefined> {
  known ??= find();
  return known;
}

async function find(): Promise<number | undefined> {
  for (const block of BLOCKS) if (await comesOutRight(block).catch(() => false)) return block;
  return undefined;
}

/** Array of small integers, whose sums are exact in any order. */
const whole = (count: number, seed: number): Float32Array => Float32Array.from({ length: count }, (_, i) => ((i * seed) % 7) - 3);

const [DIMS, KERNEL] = [
  [1, CHANNELS, SIDE, SIDE],
  [CHANNELS, CHANNELS, 3, 3],
];
const SIZE = CHANNELS * SIDE ** 2;
const weights = whole(CHANNELS ** 2 * 9, 5);
const bytes = new Uint8Array(weights.buffer);

/** Checks whether convolutions with blocked weights as an input equal those with constant weights, which ONNX Runtime blocks by itself. */
async function comesOutRight(block: number): Promise<boolean> {
  const [x, slope] = [input("x", DIMS), input("slope", DIMS)];
  const both = (w: Tensor): [Tensor, Tensor] => {
    const y = conv2d(x, w, undefined, { stride: 1, pads: [1, 1, 1, 1] });
    return [y, grad(reduceSum(mul(y, slope), [0, 1, 2, 3]), [x])[0]!];
  };
  const [y, dx] = both(input("w", KERNEL));
  const [yKnown, dxKnown] = both(
    param("known", { name: "known", dtype: "F32", shape: KERNEL, source: { kind: "bytes", bytes } }),
  );
  const runtime = ortRuntime({ threads: 1, block });
  try {
    const session = await runtime.load({ y, dx, yKnown, dxKnown });
    const feeds = { x: floats(whole(SIZE, 3), ...DIMS), slope: floats(whole(SIZE, 11), ...DIMS), w: floats(weights, ...KERNEL) };
    const found = await session.run(feeds);
    const same = (a: NdArray, b: NdArray): boolean => a.data.every((v, i) => v === b.data[i]);
    return same(found.y, found.yKnown) && same(found.dx, found.dxKnown);
  } finally {
    await runtime.close();
  }
}
