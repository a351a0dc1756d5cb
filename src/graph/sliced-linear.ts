import { type SliceAttrs, slice, sliceOp } from "./ops/layout.ts";
import { linear, linearOp } from "./ops/matrix.ts";
import { paramOp } from "./ops/source.ts";
import type { Rule } from "./rewrite.ts";
import { is, type Tensor } from "./tensor.ts";

/** Whether t is a slice of the outputs of a linear layer. */
export const isOutputSlice = (t: Tensor): t is Tensor<SliceAttrs> =>
  is(t, sliceOp) && is(t.inputs[0]!, linearOp) && t.attrs.axis === t.shape.length - 1;

/**
 * Makes a slice of a trained linear layer's outputs a layer of its own, over a slice of the weights. Slicing weights costs less than cutting up
 * the result and joining its gradient, because weights are smaller.
 */
export const sliceTrained: Rule = (t) => {
  if (!isOutputSlice(t)) return undefined;
  const [x, weight, bias] = t.inputs[0]!.inputs as [Tensor, Tensor, Tensor | undefined];
  const { start, size } = t.attrs;
  if (is(weight, paramOp)) return undefined;
  return linear(x, slice(weight, 0, start, size), bias && slice(bias, 0, start, size));
};
