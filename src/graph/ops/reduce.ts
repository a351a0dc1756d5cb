import { mulDims } from "../dim.ts";
import { apply, type Op, type Tensor } from "../tensor.ts";
import { mul } from "./elementwise.ts";
import { axesOf, broadcastReduced, reducedShape, reduceSum } from "./layout.ts";

export const reduceMeanOp: Op<{ axes: readonly number[]; keepDims: boolean }> = {
  name: "reduceMean",
  shape: ([x], { axes, keepDims }) => reducedShape(x!, axes, keepDims),
  gradient: (dy, { inputs: [x], attrs: { axes } }) => [
    () => {
      const count = mulDims(...axes.map((axis) => x!.shape[axis]!));
      if (typeof count !== "number") throw new TypeError("the gradient of reduceMean needs fixed sizes along its axes");
      return broadcastReduced(mul(dy, 1 / count), x!, axes);
    },
  ],
};
/** Mean over `axes`, or over all. */
export const reduceMean = (x: Tensor, axes?: readonly number[], keepDims = false): Tensor =>
  apply(reduceMeanOp, [x], { axes: axesOf(x, axes), keepDims });

export { reduceSum };
