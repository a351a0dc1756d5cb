import { ceilDim } from "../dim.ts";
import { apply, type Op, type Tensor } from "../tensor.ts";
import { axisOf } from "./layout.ts";

/** See {@link everyNth}. */
export const everyNthOp: Op<{ axis: number; step: number }> = {
  name: "every",
  shape: ([x], { axis, step }) => x!.shape.map((d, i) => (i === axis ? ceilDim(d, step) : d)),
};

/** Elements 0, step, 2 · step … of x along `axis`. */
export const everyNth = (x: Tensor, axis: number, step: number): Tensor =>
  apply(everyNthOp, [x], { axis: axisOf(axis, x.shape.length), step });
