import { sameDim } from "./dim.ts";
import { conv2d } from "./ops/convolution.ts";
import { concat, reshape, sliceOp } from "./ops/layout.ts";
import { matmul } from "./ops/matrix.ts";
import { depthToSpace } from "./ops/resample.ts";
import { constant } from "./ops/source.ts";
import { joinUpsampling, sumsThatSee } from "./ops/upsampled-conv.ts";
import type { Rule } from "./rewrite.ts";
import { fixedSize, is, type Tensor } from "./tensor.ts";

const SIDES = [0, 1] as const;

/**
 * An enlargement and the convolution behind it as a convolution of 2x2 for each of the four places that a pixel of the result has within its
 * source pixel (see joinUpsampling). That is less than half of the work, and so it is for their gradients.
 */
export const splitUpsampling: Rule = (t) => {
  if (is(t, sliceOp) && sameDim(t.attrs.size, t.inputs[0]!.shape[t.attrs.axis]!)) return t.inputs[0]; // what an enlargement fits as it is
  const joined = joinUpsampling(t);
  if (joined === undefined) return undefined;
  const [x, w, b] = joined.inputs as [Tensor, Tensor, Tensor | undefined];
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
