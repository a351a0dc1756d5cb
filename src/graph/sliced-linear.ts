import { type SliceAttrs, slice, sliceOp } from "./ops/layout.ts";
import { linear, linearOp } from "./ops/matrix.ts";
import { paramOp } from "./ops/source.ts";
import type { Rule } from "./rewrite.ts";
import { is, type Tensor } from "./tensor.ts";

/** Whether it is some of the outputs of a linear layer. */
export const isOutputs = (t: Tensor): t is Tensor<SliceAttrs> =>
  is(t, sliceOp) && is(t.inputs[0]!, linearOp) && t.attrs.axis === t.shape.length - 1;

/**
 * Some outputs of a linear layer that is trained as a layer of their own, of a slice of the weights: those are smaller than its result, which
 * otherwise is cut up, and its gradient joined.
 */
export const sliceTrained: Rule = (t) => {
  if (!isOutputs(t)) return undefined;
  const [x, weight, bias] = t.inputs[0]!.inputs as [Tensor, Tensor, Tensor | undefined];
  const { start, size } = t.attrs;
  if (is(weight, paramOp)) return undefined;
  return linear(x, slice(weight, 0, start, size), bias && slice(bias, 0, start, size));
};
