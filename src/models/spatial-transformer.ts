import { gelu } from "../graph/ops/activation.ts";
import { attention } from "../graph/ops/attention.ts";
import { toChannelsFirst, toChannelsLast } from "../graph/ops/channels.ts";
import { add, mul } from "../graph/ops/elementwise.ts";
import { reshape, slice } from "../graph/ops/layout.ts";
import { fixedSize, type Tensor } from "../graph/tensor.ts";
import type { Weights } from "../graph/weights.ts";
import { conv2d, groupNorm, layerNorm, linear } from "../nn/layers.ts";

export interface SpatialTransformerOptions {
  /** Number of transformer blocks, one after the other. */
  readonly depth: number;
  readonly heads: number;
  readonly groups: number;
  /** Whether proj_in and proj_out are matrices, as in SDXL, or 1x1 convolutions. */
  readonly linearProjection: boolean;
}

function attend(x: Tensor, context: Tensor, w: Weights, heads: number): Tensor {
  const out = fixedSize(x, -1);
  const q = linear(x, w.at("to_q"), { out, bias: false });
  const k = linear(context, w.at("to_k"), { out, bias: false });
  const v = linear(context, w.at("to_v"), { out, bias: false });
  return linear(attention(q, k, v, { heads, causal: false }), w.at("to_out", 0), { out });
}

/** GEGLU: Shazeer 2020 (arXiv 2002.05202). */
function feedForward(x: Tensor, w: Weights): Tensor {
  const dim = fixedSize(x, -1);
  const both = linear(x, w.at("net", 0, "proj"), { out: dim * 8 });
  const [value, gate] = [slice(both, -1, 0, dim * 4), slice(both, -1, dim * 4, dim * 4)];
  return linear(mul(value, gelu(gate)), w.at("net", 2), { out: dim });
}

function transformerBlock(x: Tensor, context: Tensor, w: Weights, heads: number): Tensor {
  const self = layerNorm(x, w.at("norm1"));
  x = add(x, attend(self, self, w.at("attn1"), heads));
  x = add(x, attend(layerNorm(x, w.at("norm2")), context, w.at("attn2"), heads));
  return add(x, feedForward(layerNorm(x, w.at("norm3")), w.at("ff")));
}

/**
 * Self-attention of pixels and cross-attention to the text, in `depth` transformer blocks.
 *
 * @param x       [B, C, H, W]
 * @param context [B, T, D] text embeddings
 * @param w       keys as in diffusers: norm, proj_in, transformer_blocks.N.{norm1, attn1, norm2, attn2, norm3, ff}, proj_out
 * @returns       [B, C, H, W]
 * @see Rombach et al. 2021 (arXiv 2112.10752) section 3.3; diffusers 58eb52c src/diffusers/models/transformers/transformer_2d.py
 */
export function spatialTransformer(x: Tensor, context: Tensor, w: Weights, options: SpatialTransformerOptions): Tensor {
  const { depth, heads, groups, linearProjection } = options;
  const [b, , h, wd] = x.shape;
  const c = fixedSize(x, 1);
  const toRows = (y: Tensor): Tensor => reshape(toChannelsLast(y), [b!, -1, c]);
  const toPixels = (y: Tensor): Tensor => toChannelsFirst(reshape(y, [b!, h!, wd!, c]));
  const normal = groupNorm(x, w.at("norm"), { groups, eps: 1e-6 });
  let y = linearProjection
    ? linear(toRows(normal), w.at("proj_in"), { out: c })
    : toRows(conv2d(normal, w.at("proj_in"), { out: c, kernel: 1 }));
  for (let i = 0; i < depth; i++) y = transformerBlock(y, context, w.at("transformer_blocks", i), heads);
  const back = linearProjection
    ? toPixels(linear(y, w.at("proj_out"), { out: c }))
    : conv2d(toPixels(y), w.at("proj_out"), { out: c, kernel: 1 });
  return add(x, back);
}
