import { add, mul } from "../graph/ops/elementwise.ts";
import { gather, takeRows } from "../graph/ops/gather.ts";
import { slice } from "../graph/ops/layout.ts";
import { size, type Tensor } from "../graph/tensor.ts";
import type { Weights } from "../graph/weights.ts";
import { layerNorm, linear } from "../nn/layers.ts";
import { type ClipEncoderConfig, clipEncoder } from "./clip-encoder.ts";

export interface ClipTextConfig extends ClipEncoderConfig {
  readonly vocabulary: number;
  readonly positions: number;
  readonly width: number;
  /** Width of the pooled vector, if the model has a projection for it (SDXL's text encoder 2 does). */
  readonly projection: number | undefined;
}

export interface ClipTextOutputs {
  /** Input and result of each layer, [B, S, C]: `hidden_states` of transformers; SDXL conditions on the last but one. */
  readonly hiddenStates: readonly Tensor[];
  /** The row at `pooledAt` after the last norm and the projection: [B, projection]. */
  readonly pooled: Tensor | undefined;
}

/**
 * CLIP's text encoder: Radford et al. 2021 (arXiv 2103.00020); keys as in transformers' CLIPTextModelWithProjection.
 * @param ids [B, S] i64
 * @param pooledAt [B] i64: position of the end-of-text token; needed only for `pooled`
 * @param given [B, S, C] vectors of textual inversions, where `keep` [B, S, 1] is 0 and not 1: Gal et al. 2022 (arXiv 2208.01618)
 */
export function clipText(
  {
    ids,
    pooledAt,
    given,
    keep,
  }: { readonly ids: Tensor; readonly pooledAt: Tensor; readonly given?: Tensor; readonly keep?: Tensor },
  w: Weights,
  config: ClipTextConfig,
): ClipTextOutputs {
  const text = w.at("text_model");
  const embeddings = text.at("embeddings");
  const normal = { normal: 0.02 }; // CLIPPreTrainedModel._init_weights
  const tokens = embeddings.at("token_embedding").get("weight", [config.vocabulary, config.width], normal);
  const places = embeddings.at("position_embedding").get("weight", [config.positions, config.width], normal);
  const read = gather(tokens, ids);
  const words = given === undefined || keep === undefined ? read : add(mul(read, keep), given);
  const x = add(words, slice(places, 0, 0, size(ids, 1)));
  const hiddenStates = clipEncoder(x, text.at("encoder"), config, true);
  const last = layerNorm(hiddenStates.at(-1)!, text.at("final_layer_norm"), config);
  const pooled =
    config.projection === undefined
      ? undefined
      : linear(takeRows(last, pooledAt), w.at("text_projection"), { out: config.projection, bias: false });
  return { hiddenStates, pooled };
}
