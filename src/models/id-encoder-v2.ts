import { gelu } from "../graph/ops/activation.ts";
import { attention } from "../graph/ops/attention.ts";
import { add } from "../graph/ops/elementwise.ts";
import { concat, reshape, slice } from "../graph/ops/layout.ts";
import { size, type Tensor } from "../graph/tensor.ts";
import type { Weights } from "../graph/weights.ts";
import { layerNorm, linear } from "../nn/layers.ts";
import { type ClipVisionConfig, clipVision } from "./clip-vision.ts";

export interface IdEncoderV2Config {
  readonly vision: ClipVisionConfig;
  /** Tokens for each photo. */
  readonly tokens: number;
  /** Width of a token: the sum of both text encoders' widths */
  readonly width: number;
  /** Width of the hidden layer that turns a face embedding into tokens. */
  readonly hidden: number;
  readonly depth: number;
  readonly heads: number;
  readonly headDim: number;
  /** Width of the hidden layer of the feed-forward blocks. */
  readonly mlp: number;
}

/**
 * ID encoder of PhotoMaker V2: tokens made from a face embedding attend to the photo's patches.
 * TencentARC/PhotoMaker 060b4fc photomaker/model_v2.py and resampler.py.
 * @param pixels [N, 3, image, image], normalised as CLIP expects
 * @param faces [N, 512] face embeddings, not normalised
 * @param w the adapter's `id_encoder`
 * @returns [N, tokens, width]
 */
export function idEncoderV2(pixels: Tensor, faces: Tensor, w: Weights, config: IdEncoderV2Config): Tensor {
  const { tokens, width, hidden } = config;
  const patches = clipVision(pixels, w.at("vision_model"), config.vision);
  const at = w.at("qformer_perceiver");
  const project = at.at("token_proj");
  const flat = linear(gelu(linear(faces, project.at(0), { out: hidden })), project.at(2), { out: tokens * width });
  const queries = layerNorm(reshape(flat, [size(faces, 0), tokens, width]), at.at("token_norm"));
  return add(queries, resampler(queries, patches, at.at("perceiver_resampler"), config));
}

/** A perceiver (Jaegle et al. 2021, arXiv 2103.03206): `latents` attend to `x` and to themselves. */
function resampler(latents: Tensor, x: Tensor, w: Weights, config: IdEncoderV2Config): Tensor {
  const { width, depth } = config;
  x = linear(x, w.at("proj_in"), { out: width });
  for (let i = 0; i < depth; i++) {
    latents = add(latents, read(latents, x, w.at("layers", i, 0), config));
    latents = add(latents, feedForward(latents, w.at("layers", i, 1), config));
  }
  return layerNorm(linear(latents, w.at("proj_out"), { out: width }), w.at("norm_out"));
}

function read(latents: Tensor, x: Tensor, w: Weights, { width, heads, headDim }: IdEncoderV2Config): Tensor {
  const inner = heads * headDim;
  const asking = layerNorm(latents, w.at("norm2"));
  const q = linear(asking, w.at("to_q"), { out: inner, bias: false });
  const kv = linear(concat([layerNorm(x, w.at("norm1")), asking], 1), w.at("to_kv"), { out: 2 * inner, bias: false });
  const mixed = attention(q, slice(kv, -1, 0, inner), slice(kv, -1, inner, inner), { heads, causal: false });
  return linear(mixed, w.at("to_out"), { out: width, bias: false });
}

function feedForward(x: Tensor, w: Weights, { width, mlp }: IdEncoderV2Config): Tensor {
  const h = gelu(linear(layerNorm(x, w.at(0)), w.at(1), { out: mlp, bias: false }));
  return linear(h, w.at(3), { out: width, bias: false });
}
