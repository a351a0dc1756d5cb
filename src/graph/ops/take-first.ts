import { namedDim } from "../dim.ts";
import { apply, type Op, type Tensor } from "../tensor.ts";
import { axisOf } from "./layout.ts";

/** See {@link takeFirst}. */
export const takeFirstOp: Op<{ axis: number }> = {
  name: "first",
  shape: ([x], { axis }) => x!.shape.map((d, i) => (i === axis ? namedDim("first") : d)),
};

/**
 * The first elements of x along `axis`: as many as `count` [1], an integer, says at run time, or all where there are fewer. The resulting size
 * is named `first`, and only tensors computed from the result may use it.
 */
export const takeFirst = (x: Tensor, axis: number, count: Tensor): Tensor =>
  apply(takeFirstOp, [x, count], { axis: axisOf(axis, x.shape.length) });
