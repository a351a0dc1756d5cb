import { z } from "zod";
import { UserError } from "../core/errors.ts";
import type { Tensors } from "../weights/tensor-entry.ts";
import type { IdEncoderV1Config } from "./id-encoder-v1.ts";
import type { IdEncoderV2Config } from "./id-encoder-v2.ts";
import { countOf, dimOf, parseConfig } from "./parse-config.ts";

const NAME = "the adapter's ID encoder";

/** Facts that an adapter's weights do not show. Files in the official sizes need none of them. */
const schema = z.looseObject({
  vision: z.looseObject({
    hidden_size: z.int().positive(),
    num_attention_heads: z.int().positive(),
    num_hidden_layers: z.int().positive(),
    patch_size: z.int().positive(),
    hidden_act: z.enum(["quick_gelu", "gelu"]).default("quick_gelu"),
    layer_norm_eps: z.number().positive().default(1e-5),
  }),
  v2_num_tokens: z.int().positive().default(2),
  v2_perceiver: z.looseObject({ dim_head: z.int().positive() }).default({ dim_head: 128 }),
});
type Sizes = z.output<typeof schema>;

const VISION_HEAD_WIDTH = 64;
const PERCEIVER_HEAD_WIDTH = 128;

/**
 * The sizes of an adapter's ID encoder, from its tensors; attention heads are as wide as in the official files (64 in the vision
 * transformer, 128 in the perceiver) unless `config` says otherwise.
 * @param config content of the `photomaker-config.json` beside the adapter, if any: named entries, of which the one with these sizes is taken
 * @throws UserError adapter/config-needed when neither the official heads nor an entry of `config` fit
 */
export function idEncoderV1Config(tensors: Tensors, config: unknown): IdEncoderV1Config {
  const { vision } = visionConfig(tensors, entryFor(tensors, config));
  const width = (key: string): number => dimOf(tensors, key, 0, NAME);
  return { vision, projections: [width("visual_projection.weight"), width("visual_projection_2.weight")] };
}

/** {@link idEncoderV1Config} for V2. */
export function idEncoderV2Config(tensors: Tensors, config: unknown): IdEncoderV2Config {
  const entry = entryFor(tensors, config);
  const { vision } = visionConfig(tensors, entry);
  const dim = (key: string, axis: number): number => dimOf(tensors, `qformer_perceiver.${key}`, axis, NAME);
  const width = dim("token_norm.weight", 0);
  const inner = dim("perceiver_resampler.layers.0.0.to_q.weight", 0);
  const headDim = entry?.v2_perceiver.dim_head ?? PERCEIVER_HEAD_WIDTH;
  if (inner % headDim !== 0) throw configNeeded();
  return {
    vision,
    tokens: dim("token_proj.2.weight", 0) / width,
    width,
    hidden: dim("token_proj.0.weight", 0),
    depth: countOf(tensors, "qformer_perceiver.perceiver_resampler.layers."),
    heads: inner / headDim,
    headDim,
    mlp: dim("perceiver_resampler.layers.0.1.1.weight", 0),
  };
}

/** Width of the face embeddings that a V2 encoder takes. */
export const faceEmbeddingWidth = (tensors: Tensors): number => dimOf(tensors, "qformer_perceiver.token_proj.0.weight", 1, NAME);

function visionConfig(tensors: Tensors, entry: Sizes | undefined): Pick<IdEncoderV1Config, "vision"> {
  const dim = (key: string, axis: number): number => dimOf(tensors, `vision_model.${key}`, axis, NAME);
  const width = dim("embeddings.class_embedding", 0);
  const patch = dim("embeddings.patch_embedding.weight", 2);
  const heads = entry?.vision.num_attention_heads ?? width / VISION_HEAD_WIDTH;
  if (!Number.isInteger(heads)) throw configNeeded();
  return {
    vision: {
      width,
      patch,
      image: Math.sqrt(dim("embeddings.position_embedding.weight", 0) - 1) * patch,
      layers: countOf(tensors, "vision_model.encoder.layers."),
      heads,
      mlp: dim("encoder.layers.0.mlp.fc1.weight", 0),
      activation: entry?.vision.hidden_act ?? "quick_gelu",
      eps: entry?.vision.layer_norm_eps ?? 1e-5,
    },
  };
}

/** The entry with the tensors' sizes. */
function entryFor(tensors: Tensors, config: unknown): Sizes | undefined {
  if (typeof config !== "object" || config === null) return undefined;
  const candidates =
    "vision" in config ? [config] : Object.values(config).filter((c) => typeof c === "object" && c !== null && "vision" in c);
  const width = dimOf(tensors, "vision_model.embeddings.class_embedding", 0, NAME);
  const patch = dimOf(tensors, "vision_model.embeddings.patch_embedding.weight", 2, NAME);
  const layers = countOf(tensors, "vision_model.encoder.layers.");
  return candidates
    .map((c) => parseConfig(schema, c, NAME))
    .find(({ vision }) => vision.hidden_size === width && vision.patch_size === patch && vision.num_hidden_layers === layers);
}

function configNeeded(): UserError {
  return new UserError(
    "adapter/config-needed",
    "The adapter's ID encoder has unusual sizes, and its weights do not show the number of attention heads.",
    "Put the photomaker-config.json that belongs to the adapter into the adapter's folder.",
  );
}
