import type { TensorEntry } from "../weights/tensor-entry.ts";
import { weightPathOf } from "./layer-weight.ts";
import { conv2d, conv2dOp } from "./ops/convolution.ts";
import { add, mul } from "./ops/elementwise.ts";
import { linear } from "./ops/matrix.ts";
import { input, param } from "./ops/source.ts";
import type { Rule } from "./rewrite.ts";
import { is, size, type Tensor } from "./tensor.ts";

/** A low-rank update of one weight: Hu et al. 2021 (arXiv 2106.09685). */
export interface LoraPair {
  readonly down: TensorEntry; // [rank, in] or [rank, in, k, k]
  readonly up: TensorEntry; // [out, rank] or [out, rank, 1, 1]
  /** alpha / rank, times the strength that the user asks for */
  readonly scale: number;
  /** Stands for its file and alpha / rank: pairs of one group always have the same scale. */
  readonly group?: string;
}

/** Name of the input [1] that is the scale of a group of pairs, where scales are inputs. */
export const scaleOf = (group: string): string => `lora.${group}`;

/**
 * y = W·x becomes y = W·x + Σ scale · up·(down·x), for each linear layer and convolution whose weight has pairs. The branches
 * cost little, and the weights are still read from their file: merged ones would be in memory several times over while a model of
 * this size is loaded.
 * @param pairs by the weight's path, such as `down_blocks.1.attentions.0.proj_in.weight`
 * @param used collects the paths that the rule was applied to
 * @param scalesAreInputs whether scales of groups are inputs, see {@link scaleOf}, so that they can change while the graph is loaded
 */
export function lora(pairs: ReadonlyMap<string, readonly LoraPair[]>, used: Set<string>, scalesAreInputs = false): Rule {
  const inputs = new Map<string, Tensor>();
  const scaleFor = ({ scale, group }: LoraPair): Tensor | number => {
    if (!scalesAreInputs || group === undefined) return scale;
    if (!inputs.has(group)) inputs.set(group, input(scaleOf(group), [1]));
    return inputs.get(group)!;
  };
  return (y) => {
    const path = weightPathOf(y);
    const found = path === undefined ? undefined : pairs.get(path);
    if (path === undefined || found === undefined) return undefined;
    used.add(path);
    return found.reduce<Tensor>((sum, pair, i) => add(sum, branch(y, pair, scaleFor(pair), `${path}:lora${i}`)), y);
  };
}

function branch(y: Tensor, { down, up }: LoraPair, scale: Tensor | number, path: string): Tensor {
  const weight = y.inputs[1]!;
  const rank = down.shape[0]!;
  const out = size(weight, 0) as number;
  const [into, ...kernel] = weight.shape.slice(1) as number[];
  // some files write trailing sizes of 1, others do not: the bytes are the same
  const inner = param(`${path}.down`, { ...down, shape: [rank, into!, ...kernel] });
  const outer = param(`${path}.up`, { ...up, shape: [out, rank, ...kernel.map(() => 1)] });
  return lowRank(y, inner, outer, scale);
}

/**
 * The LoRA branch of y, a linear layer or a convolution: scale · up·(down·x).
 * @param down [rank, in] or [rank, in, k, k]
 * @param up [out, rank] or [out, rank, 1, 1]
 * @param scale a number, or [1]
 */
export function lowRank(y: Tensor, down: Tensor, up: Tensor, scale: Tensor | number): Tensor {
  const x = y.inputs[0]!;
  const scaled = (h: Tensor): Tensor => (scale === 1 ? h : mul(h, scale));
  if (is(y, conv2dOp)) {
    const narrow = conv2d(x, down, undefined, y.attrs);
    return conv2d(scaled(narrow), up, undefined, { stride: 1, pads: [0, 0, 0, 0] });
  }
  return linear(scaled(linear(x, down)), up);
}
