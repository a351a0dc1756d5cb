import { sliceRows } from "../weights/tensor-entry.ts";
import { weightOf, weightPathOf } from "./layer-weight.ts";
import { conv2dOp } from "./ops/convolution.ts";
import { slice } from "./ops/layout.ts";
import { linearOp } from "./ops/matrix.ts";
import { layerNormOp } from "./ops/normalise.ts";
import { type QuantisedWeight, quantisedConv, quantisedLinear, quantisedUpsampledConv } from "./ops/quantised.ts";
import { type ParamAttrs, param, paramOp } from "./ops/source.ts";
import { inOrder, type Rule } from "./rewrite.ts";
import { isOutputSlice } from "./sliced-linear.ts";
import { upsamplingInput } from "./split-upsampling.ts";
import { is, size, type Tensor } from "./tensor.ts";

/** The weights of all linear layers and convolutions: those that can be quantised. */
export function quantisable(outputs: readonly Tensor[]): ParamAttrs[] {
  const found = new Map<string, ParamAttrs>();
  for (const t of inOrder(outputs)) {
    const weight = weightOf(t);
    if (weight !== undefined) found.set(weight.attrs.path, weight.attrs);
  }
  return [...found.values()];
}

/** Paths of convolution weights behind an upsampling: the two can be one operation (`quantisedUpsampledConv`). */
export const upsampledKernels = (outputs: readonly Tensor[]): Set<string> =>
  new Set(inOrder(outputs).flatMap((t) => (upsamplingInput(t) === undefined ? [] : (weightPathOf(t) ?? []))));

/** A layer norm's scale and shift, and the weights of the layers that it feeds. */
export interface NormBefore {
  readonly weight: ParamAttrs;
  readonly bias: ParamAttrs;
  readonly layers: readonly ParamAttrs[];
}

/** Layer norms that only linear layers use, each with a weight of its own: the norm's scale can be moved into those weights. */
export function normsBefore(outputs: readonly Tensor[]): NormBefore[] {
  const order = inOrder(outputs);
  const users = usersIn(order);
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

/**
 * Linear layers that are used only in slices which together cover their outputs, each with a weight of its own: the slices can be layers.
 * @returns by the weight's path, the number of outputs of each slice, in order
 */
export function slicedLinears(outputs: readonly Tensor[]): Map<string, readonly number[]> {
  const order = inOrder(outputs);
  const users = usersIn(order);
  const found = new Map<string, readonly number[]>();
  for (const y of order) {
    const weight = is(y, linearOp) && !outputs.includes(y) ? weightOf(y) : undefined;
    if (weight === undefined || users.get(weight)!.length > 1) continue;
    const parts = users.get(y) ?? [];
    const sorted = parts.every(isOutputSlice) ? parts.map(({ attrs }) => attrs).sort((a, b) => a.start - b.start) : [];
    let end = 0;
    for (const t of sorted) end = t.start === end ? end + (t.size as number) : Number.NaN;
    if (sorted.length > 1 && end === size(y, -1))
      found.set(
        weight.attrs.path,
        sorted.map((t) => t.size as number),
      );
  }
  return found;
}

function usersIn(order: readonly Tensor[]): Map<Tensor, Tensor[]> {
  const users = new Map<Tensor, Tensor[]>();
  for (const t of order) for (const x of t.inputs) users.set(x, [...(users.get(x) ?? []), t]);
  return users;
}

/** The name of the slice of a weight that begins at output `start`, as a layer of its own. */
export const slicePath = (path: string, start: number): string => `${path}:${start}`;

/** A slice of a linear layer, as a layer of its own. */
function sliced(
  y: Tensor,
  weights: ReadonlyMap<string, QuantisedWeight>,
  sharesRange: (x: Tensor) => boolean,
): Tensor | undefined {
  if (!isOutputSlice(y)) return undefined;
  const layer = y.inputs[0]!;
  const path = weightPathOf(layer);
  const { start, size } = y.attrs;
  const found = path === undefined ? undefined : weights.get(slicePath(path, start));
  if (found === undefined || found.weight.entry.shape[1] !== size) return undefined;
  const [x, , bias] = layer.inputs;
  return quantisedLinear(x!, found, bias && rowsOf(bias, start, size), sharesRange(x!) ? "shared" : "perRow");
}

function rowsOf(bias: Tensor, start: number, size: number): Tensor {
  if (!is(bias, paramOp)) return slice(bias, 0, start, size);
  const { path, entry } = bias.attrs;
  return param(slicePath(path, start), sliceRows(entry, start, start + size));
}

/**
 * Replaces linear layers and convolutions, or slices of them, by the operations of 8 bits, where quantised weights are given.
 * @param weights by path
 * @param upsampled paths of weights that stand for an upsampling and the convolution behind it
 * @param sharesRange whether the rows of a linear layer's input share one range
 */
export const quantise =
  (weights: ReadonlyMap<string, QuantisedWeight>, upsampled: ReadonlySet<string>, sharesRange: (x: Tensor) => boolean): Rule =>
  (y) => {
    const part = sliced(y, weights, sharesRange);
    if (part !== undefined) return part;
    const weight = weightOf(y);
    const found = weight && weights.get(weight.attrs.path);
    if (found === undefined) return undefined;
    const [x, , bias] = y.inputs;
    if (!is(y, conv2dOp)) return quantisedLinear(x!, found, bias, sharesRange(x!) ? "shared" : "perRow");
    if (upsampled.has(weight!.attrs.path)) return quantisedUpsampledConv(x!.inputs[0]!, found, bias);
    return quantisedConv(x!, { ...found, ...y.attrs, kernel: weight!.attrs.entry.shape[2]! }, bias);
  };
