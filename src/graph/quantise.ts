import { conv2dOp } from "./ops/convolution.ts";
import { linearOp } from "./ops/matrix.ts";
import { layerNormOp } from "./ops/normalise.ts";
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

/** A layer norm's scale and shift, and the weights of the layers that it feeds. */
export interface NormBefore {
  readonly weight: ParamAttrs;
  readonly bias: ParamAttrs;
  readonly layers: readonly ParamAttrs[];
}

/** Layer norms whose results only linear layers see, each with a weight of its own: what is a norm's scale can as well be its layers'. */
export function normsBefore(outputs: readonly Tensor[]): NormBefore[] {
  const order = inOrder(outputs);
  const users = new Map<Tensor, Tensor[]>();
  for (const t of order) for (const x of t.inputs) users.set(x, [...(users.get(x) ?? []), t]);
  const alone = (t: Tensor): t is Tensor<ParamAttrs> => is(t, paramOp) && users.get(t)!.length === 1;
  return order.flatMap((t) => {
    if (!is(t, layerNormOp) || outputs.includes(t)) return [];
    const [, weight, bias] = t.inputs as [Tensor, Tensor, Tensor];
    const layers = users.get(t) ?? [];
    const weights = layers.map((y) => (is(y, linearOp) && y.inputs[0] === t ? y.inputs[1]! : undefined));
    if (!alone(weight) || !alone(bias) || !weights.every((w) => w !== undefined && alone(w))) return [];
    return [{ weight: weight.attrs, bias: bias.attrs, layers: weights.map((w) => (w as Tensor<ParamAttrs>).attrs) }];
  });
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
