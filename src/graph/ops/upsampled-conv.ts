import { mulDims } from "../dim.ts";
import type { Rule } from "../rewrite.ts";
import { apply, is, type Op, size, type Tensor } from "../tensor.ts";
import { conv2d, conv2dOp } from "./convolution.ts";
import { upsample, upsampleOp } from "./resample.ts";

/** conv2d(upsample(x, 2), w, b) with a 3x3 kernel and one zero around. @param inputs x [B, C, H, W], w [out, C, 3, 3], b [out] or none */
export const upsampledConvOp: Op = {
  name: "upsampledConv",
  shape: ([x, w]) => [size(x!, 0), size(w!, 0), mulDims(size(x!, 2), 2), mulDims(size(x!, 3), 2)],
  expand: ([x, w, b]) => conv2d(upsample(x!, 2), w!, b, { stride: 1, pads: [1, 1, 1, 1] }),
};

/** Of the kernel's three rows, which lie on the first and on the second of the two source rows that an even and an odd row of the result see. */
const ROWS = [
  [[0], [1, 2]],
  [[0, 1], [2]],
] as const;

/**
 * Which of the kernel's 9 weights see one of the four source pixels that a pixel of the result sees.
 * @param row, column of the result's pixel, 0 where it is even
 * @param down, across which source pixel
 */
export const weightsThatSee = (row: number, column: number, down: number, across: number): number[] =>
  ROWS[row]![down]!.flatMap((i) => ROWS[column]![across]!.map((j) => 3 * i + j));

/** The same as a matrix that makes the four sums of the nine weights: [9, 4]. */
export const sumsThatSee = (row: number, column: number): number[] =>
  Array.from({ length: 9 }, (_, place) =>
    [0, 1, 2, 3].map((at) => (weightsThatSee(row, column, at >> 1, at & 1).includes(place) ? 1 : 0)),
  ).flat();

/**
 * An enlargement and the convolution behind it as one operation. Of the nine pixels that the kernel sees, those of one source pixel are equal,
 * so that four sums of weights do (Shi et al. 2016, arXiv 1609.07009): a provider can save more than half of the work.
 */
export const joinUpsampling: Rule = (y) => {
  if (!is(y, conv2dOp)) return undefined;
  const [enlarged, w, ...bias] = y.inputs as [Tensor, Tensor, ...Tensor[]];
  const { stride, pads } = y.attrs;
  const fits = stride === 1 && pads.every((n) => n === 1) && size(w, 2) === 3 && size(w, 3) === 3;
  if (!fits || !is(enlarged, upsampleOp) || enlarged.attrs.factor !== 2) return undefined;
  return apply(upsampledConvOp, [enlarged.inputs[0]!, w, ...bias], {});
};
