import { sameDim } from "./dim.ts";
import { conv2d, conv2dOp } from "./ops/convolution.ts";
import { concat, reshape, sliceOp } from "./ops/layout.ts";
import { matmul } from "./ops/matrix.ts";
import { depthToSpace, upsampleOp } from "./ops/resample.ts";
import { constant } from "./ops/source.ts";
import type { Rule } from "./rewrite.ts";
import { fixedSize, is, size, type Tensor } from "./tensor.ts";

/** Of the kernel's three rows, which lie on the first and on the second of the two source rows that an even and an odd row of the result see. */
const ROWS = [
  [[0], [1, 2]],
  [[0, 1], [2]],
] as const;
const SIDES = [0, 1] as const;

/**
 * Which of a 3x3 kernel's 9 weights see one of the four source pixels that a pixel of the result sees, where an enlargement by 2 stands before it.
 * @param row, column of the result's pixel, 0 where it is even
 * @param down, across which source pixel
 */
export const weightsThatSee = (row: number, column: number, down: number, across: number): number[] =>
  ROWS[row]![down]!.flatMap((i) => ROWS[column]![across]!.map((j) => 3 * i + j));

/** The same as a matrix that makes the four sums of the nine weights: [9, 4]. */
const sumsThatSee = (row: number, column: number): number[] =>
  Array.from({ length: 9 }, (_, place) =>
    [0, 1, 2, 3].map((at) => (weightsThatSee(row, column, at >> 1, at & 1).includes(place) ? 1 : 0)),
  ).flat();

/** What is enlarged before a convolution of 3x3 with one zero around, by 2; undefined where y is something else. */
export function enlargedBefore(y: Tensor): Tensor | undefined {
  if (!is(y, conv2dOp)) return undefined;
  const [enlarged, w] = y.inputs as [Tensor, Tensor];
  const { stride, pads } = y.attrs;
  const fits = stride === 1 && pads.every((n) => n === 1) && size(w, 2) === 3 && size(w, 3) === 3;
  return fits && is(enlarged, upsampleOp) && enlarged.attrs.factor === 2 ? enlarged.inputs[0] : undefined;
}

/**
 * An enlargement and the convolution behind it as a convolution of 2x2 for each of the four places that a pixel of the result has within its
 * source pixel. Of the nine pixels that the kernel sees, those of one source pixel are equal, so that four sums of weights do (Shi et al. 2016,
 * arXiv 1609.07009): that is less than half of the work, and so it is for their gradients.
 */
export const splitUpsampling: Rule = (t) => {
  if (is(t, sliceOp) && sameDim(t.attrs.size, t.inputs[0]!.shape[t.attrs.axis]!)) return t.inputs[0]; // what an enlargement fits as it is
  const x = enlargedBefore(t);
  if (x === undefined) return undefined;
  const [, w, b] = t.inputs as [Tensor, Tensor, Tensor | undefined];
  const [out, into] = [fixedSize(w, 0), fixedSize(w, 1)];
  const places = reshape(w, [out * into, 9]);
  const parts = SIDES.flatMap((row) =>
    SIDES.map((column) => {
      const kernel = reshape(matmul(places, constant(sumsThatSee(row, column), [9, 4])), [out, into, 2, 2]);
      return conv2d(x, kernel, b, { stride: 1, pads: [1 - row, 1 - column, row, column] });
    }),
  );
  return depthToSpace(concat(parts, 1), 2);
};
