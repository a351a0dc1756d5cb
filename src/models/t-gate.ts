import { type Dim, namedDim } from "../graph/dim.ts";
import { weightPathOf } from "../graph/layer-weight.ts";
import { attentionOp } from "../graph/ops/attention.ts";
import { first } from "../graph/ops/first.ts";
import { concat, slice } from "../graph/ops/layout.ts";
import { input } from "../graph/ops/source.ts";
import { rewrite } from "../graph/rewrite.ts";
import { apply, fixedSize, is, size, type Tensor } from "../graph/tensor.ts";

/** A UNet whose cross-attention outputs can be read and replaced. */
export interface GatedUNet {
  readonly noise: Tensor;
  /** Output of each cross-attention layer [B, S, C], by its path; the input that replaces it is `given.<path>`. */
  readonly crossAttention: Readonly<Record<string, Tensor>>;
}

/**
 * Lets a UNet reuse the outputs of its cross-attention layers from an earlier step: Zhang et al. 2024 (arXiv 2404.02747), section 3.
 * Adds the input `queries` [1], an integer, and for each layer an input `given` [B, K, C]. A layer is computed for the first `queries` of its
 * S tokens, and its output is `given` followed by what was computed, cut to S tokens:
 *
 *     K = 0, queries = S    the layer's own output
 *     K = S, queries = 1    the given output (one token is computed and cut off)
 *
 * @param noise the output of {@link unet}
 */
export function tGate(noise: Tensor): GatedUNet {
  const queries = input("queries", [1], "i64");
  const tokens = new Map<string, Dim>();
  const crossAttention: Record<string, Tensor> = {};
  const fewer = new Set<Tensor>();
  const [gated] = rewrite([noise], (t) => {
    const again = (...inputs: readonly Tensor[]): Tensor => {
      const y = apply(t.op, inputs, t.attrs);
      fewer.add(y);
      return y;
    };
    if (is(t, attentionOp) && fewer.has(t.inputs[0]!)) return again(...t.inputs);
    const [, layer, part] = /^(.*\.attn2)\.(to_q|to_out\.0)\.weight$/.exec(weightPathOf(t) ?? "") ?? [];
    if (layer === undefined) return undefined;
    const [x, ...weights] = t.inputs as [Tensor, ...Tensor[]];
    if (part === "to_q") {
      tokens.set(layer, size(x, 1));
      return again(first(x, 1, queries), ...weights);
    }
    const name = `given.${layer}`;
    const y = again(...t.inputs);
    crossAttention[layer] = y;
    const given = input(name, [size(y, 0), namedDim(name), fixedSize(y, 2)]);
    return slice(concat([given, y], 1), 1, 0, tokens.get(layer)!);
  });
  return { noise: gated!, crossAttention };
}
