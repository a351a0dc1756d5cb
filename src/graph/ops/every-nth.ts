import { ceilDim } from "../dim.ts";
import { apply, fixedSize, type Op, type Tensor } from "../tensor.ts";
import { axisOf, pad, reshape, slice } from "./layout.ts";

/** See {@link everyNth}. */
export const everyNthOp: Op<{ axis: number; step: number }> = {
  name: "every",
  shape: ([x], { axis, step }) => x!.shape.map((d, i) => (i === axis ? ceilDim(d, step) : d)),
  // zeros between the elements
  gradient: (dy, { inputs: [x], attrs: { axis, step } }) => [
    () => {
      const [whole, count] = [fixedSize(x!, axis), fixedSize(dy, axis)];
      const [before, after] = [dy.shape.slice(0, axis), dy.shape.slice(axis + 1)];
      const spread = pad(reshape(dy, [...before, count, 1, ...after]), axis + 1, 0, step);
      const all = reshape(spread, [...before, count * step, ...after]);
      return count * step > whole ? slice(all, axis, 0, whole) : all;
    },
  ],
};

/** Elements 0, step, 2 · step … of x along `axis`. */
export const everyNth = (x: Tensor, axis: number, step: number): Tensor =>
  apply(everyNthOp, [x], { axis: axisOf(axis, x.shape.length), step });
