import { linearOp } from "./ops/matrix.ts";
import { type QuantisedWeight, quantisedLinear } from "./ops/quantised.ts";
import { type ParamAttrs, paramOp } from "./ops/source.ts";
import { inOrder, type Rule } from "./rewrite.ts";
import { is, type Tensor } from "./tensor.ts";

/** The weights of all linear layers, which are what can be quantised. */
export function linearWeights(outputs: readonly Tensor[]): ParamAttrs[] {
  const found = new Map<string, ParamAttrs>();
  for (const t of inOrder(outputs)) {
    const weight = is(t, linearOp) ? t.inputs[1]! : undefined;
    if (weight !== undefined && is(weight, paramOp)) found.set(weight.attrs.path, weight.attrs);
  }
  return [...found.values()];
}

/** Linear layers whose weights are there in 8 bits use them. @param weights by path */
export const quantise =
  (weights: ReadonlyMap<string, QuantisedWeight>): Rule =>
  (y) => {
    const weight = is(y, linearOp) ? y.inputs[1]! : undefined;
    if (weight === undefined || !is(weight, paramOp)) return undefined;
    const found = weights.get(weight.attrs.path);
    return found && quantisedLinear(y.inputs[0]!, found, y.inputs[2]);
  };
