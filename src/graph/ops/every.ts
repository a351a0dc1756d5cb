import { ceilDim } from "../dim.ts";
import { apply, type Op, type Tensor } from "../tensor.ts";
import { axisOf } from "./layout.ts";

/** See {@link every}. */
export const everyOp: Op<{ axis: number; step: number }> = {
  name: "every",
  shape: ([x], { axis, step }) => x!.shape.map((d, i) => (i === axis ? ceilDim(d, step) : d)),
};

/** Elements 0, step, 2 · step … of x along `axis`. */
export const every = (x: Tensor, axis: number, step: number): Tensor =>
  apply(everyOp, [x], { axis: axisOf(axis, x.shape.length), step });
