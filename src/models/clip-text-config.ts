import { z } from "zod";
import type { Tensors } from "../weights/tensor-entry.ts";
import type { ClipTextConfig } from "./clip-text.ts";
import { countOf, dimOf, needsConfig, parseConfig, refuseContradictions } from "./parse-config.ts";

/** Fields of transformers' CLIPTextConfig that matter here. */
const schema = z.looseObject({
  vocab_size: z.int().positive().default(49408),
  max_position_embeddings: z.int().positive().default(77),
  hidden_size: z.int().positive().default(512),
  intermediate_size: z.int().positive().default(2048),
  num_hidden_layers: z.int().positive().default(12),
  num_attention_heads: z.int().positive().default(8),
  hidden_act: z.enum(["quick_gelu", "gelu"]).default("quick_gelu"),
  layer_norm_eps: z.number().positive().default(1e-5),
  eos_token_id: z.int().default(49407),
});

/** A text encoder's sizes, and how the end of a text is found. */
export interface ClipTextModelConfig extends ClipTextConfig {
  /** The token whose first occurrence is pooled; undefined: the position of the highest id. */
  readonly endToken: number | undefined;
}

/** End token of configs written before transformers 4.30, which stands for the highest id: CLIPTextTransformer.forward. */
const LEGACY_END_TOKEN = 2;

export type TextEncoderName = "text_encoder" | "text_encoder_2";

/** SDXL's first text encoder is OpenAI's CLIP ViT-L, its second OpenCLIP's bigG: Podell et al. 2023 (arXiv 2307.01952). */
const ACTIVATION = { text_encoder: "quick_gelu", text_encoder_2: "gelu" } as const;
const HEAD_WIDTH = 64;

/**
 * A text encoder's sizes, from its config.json or, without one, from its tensors and what all SDXL models share.
 * @throws UserError model/config, model/config-needed, weights/missing
 */
export function clipTextConfig(config: unknown, tensors: Tensors, name: TextEncoderName): ClipTextModelConfig {
  const projection = tensors.get("text_projection.weight")?.shape[0];
  if (config !== undefined) {
    const c = parseConfig(schema, config, name);
    refuseContradictions(name, [
      [c.hidden_size % c.num_attention_heads === 0, "num_attention_heads: it does not divide hidden_size"],
    ]);
    return {
      vocabulary: c.vocab_size,
      positions: c.max_position_embeddings,
      width: c.hidden_size,
      mlp: c.intermediate_size,
      layers: c.num_hidden_layers,
      heads: c.num_attention_heads,
      activation: c.hidden_act,
      eps: c.layer_norm_eps,
      projection,
      endToken: c.eos_token_id === LEGACY_END_TOKEN ? undefined : c.eos_token_id,
    };
  }
  const dim = (key: string, axis: number): number => dimOf(tensors, `text_model.${key}`, axis, name);
  const width = dim("embeddings.token_embedding.weight", 1);
  if (width % HEAD_WIDTH !== 0) throw needsConfig(name, "the number of attention heads");
  return {
    vocabulary: dim("embeddings.token_embedding.weight", 0),
    positions: dim("embeddings.position_embedding.weight", 0),
    width,
    mlp: dim("encoder.layers.0.mlp.fc1.weight", 0),
    layers: countOf(tensors, "text_model.encoder.layers."),
    heads: width / HEAD_WIDTH,
    activation: ACTIVATION[name],
    eps: 1e-5,
    projection,
    endToken: undefined,
  };
}
