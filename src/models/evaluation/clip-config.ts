import { z } from "zod";
import { UserError } from "../../core/errors.ts";
import type { Tensors } from "../../weights/tensor-entry.ts";
import { type ClipTextModelConfig, clipTextConfig } from "../clip-text-config.ts";
import type { ClipVisionConfig } from "../clip-vision.ts";
import { parseConfig, refuseContradictions } from "../parse-config.ts";

export interface ClipConfig {
  readonly text: ClipTextModelConfig;
  readonly vision: ClipVisionConfig;
  /** Numbers in a feature. */
  readonly projection: number;
}

/** Fields of transformers' CLIPConfig that matter here. */
const schema = z.looseObject({
  model_type: z.literal("clip").default("clip"),
  text_config: z.looseObject({}),
  vision_config: z.looseObject({}),
});

/** Fields of CLIPVisionConfig, with its defaults: published configs leave out what equals them. */
const visionSchema = z.looseObject({
  hidden_size: z.int().positive().default(768),
  intermediate_size: z.int().positive().default(3072),
  num_hidden_layers: z.int().positive().default(12),
  num_attention_heads: z.int().positive().default(12),
  image_size: z.int().positive().default(224),
  patch_size: z.int().positive().default(32),
  hidden_act: z.enum(["quick_gelu", "gelu"]).default("quick_gelu"),
  layer_norm_eps: z.number().positive().default(1e-5),
});

/**
 * A CLIP's sizes, from its config.json. Weights alone do not tell them: OpenAI's models and LAION's are of the same shapes and have other activations.
 * @param tensors names as in transformers' CLIPModel
 * @throws UserError model/config, network/config-needed, network/wrong-kind
 */
export function clipConfig(config: unknown, tensors: Tensors): ClipConfig {
  const projection = tensors.get("visual_projection.weight")?.shape[0];
  if (projection === undefined || !tensors.has("text_projection.weight"))
    throw new UserError(
      "network/wrong-kind",
      "These are not the weights of a whole CLIP, of pictures and of texts, with its projections.",
      "Give a CLIP such as openai/clip-vit-base-patch32: the folder of the hub, or its file of weights with config.json beside it.",
    );
  if (config === undefined)
    throw new UserError(
      "network/config-needed",
      "CLIP's weights do not tell its activation, which differs between OpenAI's models and LAION's of the same shapes.",
      "Put the model's config.json beside the weights, or name the folder that has both.",
    );
  const { text_config: text, vision_config: vision } = parseConfig(schema, config, "CLIP");
  const v = parseConfig(visionSchema, vision, "CLIP");
  refuseContradictions("CLIP", [
    [
      v.hidden_size % v.num_attention_heads === 0,
      `num_attention_heads: ${v.num_attention_heads} does not divide ${v.hidden_size}`,
    ],
    [v.image_size % v.patch_size === 0, `patch_size: ${v.patch_size} does not divide ${v.image_size}`],
  ]);
  return {
    text: clipTextConfig(text, tensors, "text_encoder"),
    vision: {
      width: v.hidden_size,
      mlp: v.intermediate_size,
      layers: v.num_hidden_layers,
      heads: v.num_attention_heads,
      activation: v.hidden_act,
      eps: v.layer_norm_eps,
      patch: v.patch_size,
      image: v.image_size,
    },
    projection,
  };
}
