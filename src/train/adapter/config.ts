import { z } from "zod";
import { UserError } from "../../core/errors.ts";

const share = z.number().min(0).max(1);
const count = z.int().positive();

/** Sizes of a randomly initialised vision transformer; by default those of CLIP's ViT-L/14. */
const vision = z.strictObject({
  hidden_size: count.default(1024),
  intermediate_size: count.default(4096),
  num_attention_heads: count.default(16),
  num_hidden_layers: count.default(24),
  patch_size: count.default(14),
  image_size: count.default(224),
  hidden_act: z.enum(["quick_gelu", "gelu"]).default("quick_gelu"),
  layer_norm_eps: z.number().positive().default(1e-5),
});

/**
 * Config of an adapter's training. Defaults are PhotoMaker's (arXiv 2312.04461, section 4) where the paper gives them: resolution, batch
 * size (here accumulated from batches of one), learning rates, ID images, dropped text, masked loss.
 */
const schema = z.strictObject({
  /** Side of the training pictures, pixels. */
  resolution: count.multipleOf(8).default(1024),
  /** Pictures per worker and pass. */
  batch: count.default(1),
  /** Passes of each worker per update. */
  accumulate: count.default(48),
  steps: count.default(20_000),
  seed: z.int().nonnegative().default(0),
  loraRank: count.default(64),
  loraLearningRate: z.number().positive().default(1e-4),
  /** For projections, fuse MLPs and the layers of the vision transformer. */
  learningRate: z.number().nonnegative().default(1e-5),
  weightDecay: z.number().nonnegative().default(0),
  schedule: z.enum(["constant", "cosine", "linear"]).default("constant"),
  warmUp: z.int().nonnegative().default(500),
  beta2: share.default(0.999),
  /** Largest norm of all gradients together; 0: no clipping. */
  clip: z.number().nonnegative().default(1),
  /** Decay of the moving average that is written in place of the weights; null: no average. */
  emaDecay: share.nullable().default(null),
  /** Most ID images per sample; their number is drawn at random from 1. */
  idImages: count.max(16).default(4),
  /** Share of samples whose text is dropped. */
  nullText: share.default(0.1),
  /** Share of samples whose loss covers only the person. */
  maskedLoss: share.default(0.5),
  /** Whether every picture has a mask of the person. Without masks, ID images keep their background and no loss is masked. */
  masks: z.boolean().default(true),
  /** Gamma of min-SNR, usually 5: Hang et al. 2023 (arXiv 2303.09556); null: no weighting. */
  minSnrGamma: z.number().positive().nullable().default(null),
  /** How many of the vision transformer's last layers are trained. The paper trains "part" of them. */
  visionLayers: z.int().nonnegative().default(4),
  /** Sizes of a randomly initialised vision transformer, for a run without --init; all its layers are trained. */
  vision: vision.optional(),
  trigger: z.string().regex(/^\S+$/).default("img"),
  /** Recomputes each block in the backward pass to save memory. */
  gradientCheckpointing: z.boolean().default(true),
  /** Repeats the batches of this many updates, with the same noise, to check that a config can learn at all. 0: off. */
  overfitBatches: z.int().nonnegative().default(0),
  /** Updates between sample sheets; 0: none. Sampling loads the whole model beside the trainer. */
  sampleEvery: z.int().nonnegative().default(0),
  samplePrompts: z.array(z.string()).default([]),
  sampleSteps: count.default(30),
  checkpointSeconds: z.number().nonnegative().default(600),
  /** Updates per line of metrics.jsonl. */
  reportEvery: count.default(10),
});
export type AdapterConfig = z.output<typeof schema>;
export type VisionSizes = z.output<typeof vision>;

/**
 * @param json content of the config file
 * @throws UserError train/config, naming the field
 */
export function adapterConfig(json: unknown): AdapterConfig {
  const result = schema.safeParse(json ?? {});
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const field = issue.path.join(".") || "it";
  throw new UserError(
    "train/config",
    `The config cannot be used: ${field}: ${issue.message}.`,
    `Correct it. The fields are: ${Object.keys(schema.shape).join(", ")}.`,
  );
}

/** The fields that must be the same in a resumed run. How often it reports and samples may change. */
export function comparable({ vision, samplePrompts: _, ...config }: AdapterConfig): Record<string, string | number | boolean> {
  const free = ["sampleEvery", "sampleSteps", "checkpointSeconds", "steps", "seed", "accumulate"]; // the last three are compared elsewhere
  const kept = Object.entries(config).filter(([name]) => !free.includes(name));
  return Object.fromEntries(
    [...kept, ["vision", vision ?? null]].map(([name, v]) => [name, typeof v === "object" ? JSON.stringify(v) : v]),
  ) as Record<string, string | number | boolean>;
}
