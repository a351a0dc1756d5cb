import { type Dim, namedDim } from "../graph/dim.ts";
import { weightPathOf } from "../graph/layer-weight.ts";
import { attentionOp } from "../graph/ops/attention.ts";
import { concat, slice } from "../graph/ops/layout.ts";
import { input } from "../graph/ops/source.ts";
import { takeFirst } from "../graph/ops/take-first.ts";
import { rewriteNamed } from "../graph/rewrite.ts";
import { apply, fixedSize, is, size, type Tensor } from "../graph/tensor.ts";

/** A cross-attention layer of a UNet that can be told what it says. */
export interface CrossAttentionLayer {
  readonly path: string;
  readonly width: number;
}

/** Name of the output that is what a layer says [B, S, C]. */
export const saidBy = (path: string): string => `said.${path}`;

/** Name of the input [B, K, C] that takes the place of what a layer says. */
export const givenTo = (path: string): string => `given.${path}`;

/**
 * Lets a UNet use again what its cross-attention layers said at an earlier step: Zhang et al. 2024 (arXiv 2404.02747), section 3.
 * Adds the input `queries` [1], a whole number, and for each layer an input [B, K, C] and an output, see {@link givenTo} and
 * {@link saidBy}. The layer is computed for the first `queries`
 * tokens, and its answer begins with the K given ones: with K = 0 and as many queries as there are tokens it is that of the network,
 * with K = S and one query it is what is given. Where a layer's attention has a bias, this is cut alike, to `queries` rows and, by
 * another input, to `keys` [1] columns: as many as `context` has tokens.
 * @param outputs `noise`, the output of {@link unet}, and others
 */
export function gateCrossAttention(outputs: Readonly<Record<string, Tensor>>): Readonly<Record<string, Tensor>> {
  const [queries, keys] = [input("queries", [1], "i64"), input("keys", [1], "i64")];
  const tokens = new Map<string, Dim>();
  const said: Record<string, Tensor> = {};
  const fewer = new Set<Tensor>();
  const gated = rewriteNamed(outputs, (t) => {
    const again = (...inputs: readonly Tensor[]): Tensor => {
      const y = apply(t.op, inputs, t.attrs);
      fewer.add(y);
      return y;
    };
    const [, layer, part] = /^(.*\.attn2)\.(to_q|to_out\.0)\.weight$/.exec(weightPathOf(t) ?? "") ?? [];
    if (layer === undefined) {
      if (!t.inputs.some((x) => fewer.has(x))) return undefined;
      const [q, k, v, bias] = t.inputs; // of attention, or of what else lies between queries and answer
      return is(t, attentionOp) && bias !== undefined
        ? again(q!, k!, v!, takeFirst(takeFirst(bias, 2, queries), 3, keys))
        : again(...t.inputs);
    }
    const [x, ...weights] = t.inputs as [Tensor, ...Tensor[]];
    if (part === "to_q") {
      tokens.set(layer, size(x, 1));
      return again(takeFirst(x, 1, queries), ...weights);
    }
    const y = apply(t.op, t.inputs, t.attrs);
    said[saidBy(layer)] = y;
    const given = input(givenTo(layer), [size(y, 0), namedDim(givenTo(layer)), fixedSize(y, 2)]);
    return slice(concat([given, y], 1), 1, 0, tokens.get(layer)!);
  });
  return { ...gated, ...said };
}

/** The layers of a graph that {@link gateCrossAttention} has made. */
export const gatedLayers = (outputs: Readonly<Record<string, Tensor>>): CrossAttentionLayer[] =>
  Object.entries(outputs).flatMap(([name, t]) => {
    const path = name.slice(saidBy("").length);
    return name === saidBy(path) ? [{ path, width: fixedSize(t, 2) }] : [];
  });
