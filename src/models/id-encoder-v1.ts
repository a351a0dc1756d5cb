import { concat, reshape } from "../graph/ops/layout.ts";
import { size, type Tensor } from "../graph/tensor.ts";
import type { Weights } from "../graph/weights.ts";
import { linear } from "../nn/layers.ts";
import { type ClipVisionConfig, clipVision, pooledVision } from "./clip-vision.ts";

export interface IdEncoderV1Config {
  readonly vision: ClipVisionConfig;
  /** Widths of the two projections, one for each text encoder. */
  readonly projections: readonly [number, number];
}

/**
 * ID encoder of PhotoMaker V1 (arXiv 2312.04461, section 3.2): one token for each photo.
 * @param pixels [N, 3, image, image], normalised as CLIP expects
 * @param w the adapter's `id_encoder`
 * @returns [N, 1, projections[0] + projections[1]]
 */
export function idEncoderV1(pixels: Tensor, w: Weights, { vision, projections }: IdEncoderV1Config): Tensor {
  const at = w.at("vision_model");
  const tokens = projectId(pooledVision(clipVision(pixels, at, vision), at, vision), w, projections);
  return reshape(tokens, [size(pixels, 0), 1, projections[0] + projections[1]]);
}

/**
 * Projects photos' pooled features to ID tokens.
 * @param pooled [N, C]
 * @returns [N, projections[0] + projections[1]]
 */
export function projectId(pooled: Tensor, w: Weights, projections: IdEncoderV1Config["projections"]): Tensor {
  const first = linear(pooled, w.at("visual_projection"), { out: projections[0], bias: false });
  const second = linear(pooled, w.at("visual_projection_2"), { out: projections[1], bias: false });
  return concat([first, second], -1);
}
