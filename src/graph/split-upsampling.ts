import { sameDim } from "./dim.ts";
import { conv2d, conv2dOp } from "./ops/convolution.ts";
import { concat, reshape, sliceOp } from "./ops/layout.ts";
import { matmul } from "./ops/matrix.ts";
import { depthToSpace, upsampleOp } from "./ops/resample.ts";
import { constant } from "./ops/source.ts";
import type { Rule } from "./rewrite.ts";
import { fixedSize, is, size, type Tensor } from "./tensor.ts";

/**
 * Rows of a 3x3 kernel over rows that were upsampled by 2. It sees two source rows, and the kernel rows on the same one can be added up:
 *
 *     source row              s-1 |    s    | s+1
 *     upsampled row     2s-2 2s-1 | 2s 2s+1 | 2s+2
 *     kernel at 2s            k0  | k1  k2  |          even: [0] on the first source row, [1, 2] on the second
 *     kernel at 2s+1              | k0  k1  | k2       odd:  [0, 1] on the first, [2] on the second
 */
const ROWS = [
  [[0], [1, 2]],
  [[0, 1], [2]],
] as const;
const SIDES = [0, 1] as const;

/**
 * Which of a 3x3 kernel's 9 weights lie on one of the four source pixels that it sees behind an upsampling by 2.
 * @param row, column of the result's pixel: 0 where even, 1 where odd
 * @param down, across which of the source pixels: 0 or 1
 */
export const weightsOnSourcePixel = (row: number, column: number, down: number, across: number): number[] =>
  ROWS[row]![down]!.flatMap((i) => ROWS[column]![across]!.map((j) => 3 * i + j));

/** The same as a matrix [9, 4] that turns nine weights into their four sums. */
const sumsOnSourcePixels = (row: number, column: number): number[] =>
  Array.from({ length: 9 }, (_, place) =>
    [0, 1, 2, 3].map((at) => (weightsOnSourcePixel(row, column, at >> 1, at & 1).includes(place) ? 1 : 0)),
  ).flat();

/** The input of an upsampling by 2 whose result goes into y, a 3x3 convolution of stride 1 and padding 1; undefined if y is none such. */
export function upsamplingInput(y: Tensor): Tensor | undefined {
  if (!is(y, conv2dOp)) return undefined;
  const [upsampled, w] = y.inputs as [Tensor, Tensor];
  const { stride, pads } = y.attrs;
  const fits = stride === 1 && pads.every((n) => n === 1) && size(w, 2) === 3 && size(w, 3) === 3;
  return fits && is(upsampled, upsampleOp) && upsampled.attrs.factor === 2 ? upsampled.inputs[0] : undefined;
}

/**
 * Splits an upsampling by 2 and the 3x3 convolution behind it into four 2x2 convolutions of the source, one for each position of a result's
 * pixel within its source pixel, interleaved afterwards (Shi et al. 2016, arXiv 1609.07009). Their kernels are sums of the nine weights, as in
 * {@link ROWS}: less than half of the work, and so for the gradients.
 */
export const splitUpsampling: Rule = (t) => {
  // models cut an upsampling to the size of the skip picture: a slice of everything goes
  if (is(t, sliceOp) && sameDim(t.attrs.size, t.inputs[0]!.shape[t.attrs.axis]!)) return t.inputs[0];
  const x = upsamplingInput(t);
  if (x === undefined) return undefined;
  const [, w, b] = t.inputs as [Tensor, Tensor, Tensor | undefined];
  const [out, into] = [fixedSize(w, 0), fixedSize(w, 1)];
  const places = reshape(w, [out * into, 9]);
  const parts = SIDES.flatMap((row) =>
    SIDES.map((column) => {
      const kernel = reshape(matmul(places, constant(sumsOnSourcePixels(row, column), [9, 4])), [out, into, 2, 2]);
      return conv2d(x, kernel, b, { stride: 1, pads: [1 - row, 1 - column, row, column] });
    }),
  );
  return depthToSpace(concat(parts, 1), 2);
};
