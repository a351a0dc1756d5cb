import { conv2dOp } from "./ops/convolution.ts";
import { linearOp } from "./ops/matrix.ts";
import { type QuantisedWeight, quantisedConv, quantisedLinear } from "./ops/quantised.ts";
import { type ParamAttrs, paramOp } from "./ops/source.ts";
import { inOrder, type Rule } from "./rewrite.ts";
import { is, type Tensor } from "./tensor.ts";

/** The weight of a linear layer or a convolution, where it is one that a file holds. */
function weightOf(y: Tensor): Tensor<ParamAttrs> | undefined {
  const weight = is(y, linearOp) || is(y, conv2dOp) ? y.inputs[1]! : undefined;
  return weight !== undefined && is(weight, paramOp) ? weight : undefined;
}

/** The weights of all linear layers and convolutions, which are what can be quantised. */
export function quantisable(outputs: readonly Tensor[]): ParamAttrs[] {
  const found = new Map<string, ParamAttrs>();
  for (const t of inOrder(outputs)) {
    const weight = weightOf(t);
    if (weight !== undefined) found.set(weight.attrs.path, weight.attrs);
  }
  return [...found.values()];
}

/** Linear layers and convolutions whose weights are there in 8 bits use them. @param weights by path */
export const quantise =
  (weights: ReadonlyMap<string, QuantisedWeight>): Rule =>
  (y) => {
    const weight = weightOf(y);
    const found = weight && weights.get(weight.attrs.path);
    if (found === undefined) return undefined;
    const [x, , bias] = y.inputs;
    if (!is(y, conv2dOp)) return quantisedLinear(x!, found, bias);
    return quantisedConv(x!, { ...found, ...y.attrs, kernel: weight!.attrs.entry.shape[2]! }, bias);
  };
