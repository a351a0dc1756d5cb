import { sumsThatSee, upsampledConvOp } from "../ops/upsampled-conv.ts";
import { fixedSize } from "../tensor.ts";
import { lower } from "./emitter.ts";

/**
 * One convolution of 2x2 for each of the four places that a pixel of the result has within its source pixel, and the results laid into each
 * other. The sums of weights follow from the weights alone, and are computed when the model is loaded.
 */
export const upsampledConvLowering = lower(upsampledConvOp, (y, [x, w, b], e) => {
  const [out, into] = [fixedSize(y.inputs[1]!, 0), fixedSize(y.inputs[1]!, 1)];
  const places = e.node("Reshape", [w!, e.ints([-1, 9])]);
  const parts = [0, 1].flatMap((row) =>
    [0, 1].map((column) => {
      const sums = e.node("MatMul", [places, e.floats(sumsThatSee(row, column), [9, 4])]);
      const kernel = e.node("Reshape", [sums, e.ints([out, into, 2, 2])]);
      const pads = [1 - row, 1 - column, row, column];
      return e.node("Conv", [x!, kernel, ...(b === undefined ? [] : [b])], { attrs: { pads, kernel_shape: [2, 2] } });
    }),
  );
  const together = e.node("Concat", parts, { attrs: { axis: 1 } });
  return e.node("DepthToSpace", [together], { attrs: { blocksize: 2, mode: "DCR" } });
});
