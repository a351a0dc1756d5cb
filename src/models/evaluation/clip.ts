import type { Tensor } from "../../graph/tensor.ts";
import type { Weights } from "../../graph/weights.ts";
import { linear } from "../../nn/layers.ts";
import { clipText } from "../clip-text.ts";
import { clipVision, pooledVision } from "../clip-vision.ts";
import type { ClipConfig } from "./clip-config.ts";

/**
 * Features of pictures: transformers' `get_image_features`. Radford et al. 2021 (arXiv 2103.00020).
 * @param pixels [B, 3, image, image], normalised
 * @param w keys as in transformers' CLIPModel
 * @returns [B, projection], not of unit length
 */
export function clipImageFeatures(pixels: Tensor, w: Weights, { vision, projection }: ClipConfig): Tensor {
  const at = w.at("vision_model");
  const pooled = pooledVision(clipVision(pixels, at, vision), at, vision);
  return linear(pooled, w.at("visual_projection"), { out: projection, bias: false });
}

/**
 * Features of texts: transformers' `get_text_features`.
 * @param ids [B, S] i64
 * @param pooledAt [B] i64, the place of the end of each text
 * @returns [B, projection], not of unit length
 */
export function clipTextFeatures(ids: Tensor, pooledAt: Tensor, w: Weights, { text }: ClipConfig): Tensor {
  return clipText({ ids, pooledAt }, w, text).pooled!;
}
