import { namedDim } from "../dim.ts";
import { apply, type Op, type Tensor } from "../tensor.ts";
import { axisOf } from "./layout.ts";

/** See {@link first}. */
export const firstOp: Op<{ axis: number }> = {
  name: "first",
  shape: ([x], { axis }) => x!.shape.map((d, i) => (i === axis ? namedDim("first") : d)),
};

/**
 * As many elements of x along `axis` as `count` [1], a whole number, says while the graph runs; all, where there are fewer. The size
 * is known only to what follows from x itself.
 */
export const first = (x: Tensor, axis: number, count: Tensor): Tensor =>
  apply(firstOp, [x, count], { axis: axisOf(axis, x.shape.length) });
