import { add } from "../graph/ops/elementwise.ts";
import { broadcastTo, concat, permute, reshape, slice } from "../graph/ops/layout.ts";
import { size, type Tensor } from "../graph/tensor.ts";
import type { Weights } from "../graph/weights.ts";
import { conv2d, layerNorm } from "../nn/layers.ts";
import { type ClipEncoderConfig, clipEncoder } from "./clip-encoder.ts";

export interface ClipVisionConfig extends ClipEncoderConfig {
  readonly width: number;
  readonly patch: number;
  /** Side of the input, pixels */
  readonly image: number;
}

/**
 * CLIP's vision transformer: Radford et al. 2021 (arXiv 2103.00020); keys as in transformers' CLIPVisionTransformer.
 * @param pixels [B, 3, image, image], normalised
 * @param w at `vision_model`
 * @returns class token and patches after the last layer, before the final norm: [B, 1 + patches, C]
 */
export function clipVision(pixels: Tensor, w: Weights, config: ClipVisionConfig): Tensor {
  const { width, patch, image } = config;
  const batch = size(pixels, 0);
  const count = (image / patch) ** 2;
  const at = w.at("embeddings");
  const patches = conv2d(pixels, at.at("patch_embedding"), { out: width, kernel: patch, stride: patch, bias: false });
  const rows = permute(reshape(patches, [batch, width, count]), [0, 2, 1]);
  const normal = { normal: 0.02 };
  const classToken = broadcastTo(at.get("class_embedding", [width], normal), [batch, 1, width]);
  const places = at.at("position_embedding").get("weight", [count + 1, width], normal);
  const x = layerNorm(add(concat([classToken, rows], 1), places), w.at("pre_layrnorm"), config); // [sic] in the checkpoint
  return clipEncoder(x, w.at("encoder"), config, false).at(-1)!;
}

/** The class token of {@link clipVision}'s result after the final norm: [B, C]. */
export function pooledVision(tokens: Tensor, w: Weights, config: ClipVisionConfig): Tensor {
  const first = reshape(slice(tokens, 1, 0, 1), [size(tokens, 0), config.width]);
  return layerNorm(first, w.at("post_layernorm"), config);
}
