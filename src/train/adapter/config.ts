import { z } from "zod";
import { UserError } from "../../core/errors.ts";

const share = z.number().min(0).max(1);
const count = z.int().positive();

/** Sizes of a vision transformer that starts at random; CLIP's ViT-L/14 by default. */
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
 * How an adapter is trained. Defaults are PhotoMaker's (arXiv 2312.04461, section 4) where it says them: resolution, batch (here as
 * batches of one picture), learning rates, ID images, null text, masked loss.
 */
const schema = z.strictObject({
  /** Side of the pictures that are learnt, pixels. */
  resolution: count.multipleOf(8).default(1024),
  /** Pictures of one worker in one pass. */
  batch: count.default(1),
  /** Passes of each worker that make one update. */
  accumulate: count.default(48),
  steps: count.default(20_000),
  seed: z.int().nonnegative().default(0),
  loraRank: count.default(64),
  loraLearningRate: z.number().positive().default(1e-4),
  /** Of projections, fuse MLPs and the layers of the vision transformer. */
  learningRate: z.number().nonnegative().default(1e-5),
  weightDecay: z.number().nonnegative().default(0),
  schedule: z.enum(["constant", "cosine", "linear"]).default("constant"),
  warmUp: z.int().nonnegative().default(500),
  beta2: share.default(0.999),
  /** Largest norm of all gradients; 0: any. */
  clip: z.number().nonnegative().default(1),
  /** Of the moving average that is written in place of the weights; null: none. */
  emaDecay: share.nullable().default(null),
  /** Most ID images of one sample; each has from one to as many. */
  idImages: count.max(16).default(4),
  /** Share of samples without any text. */
  nullText: share.default(0.1),
  /** Share of samples whose loss counts the person alone. */
  maskedLoss: share.default(0.5),
  /** Whether every picture has a mask of the person. Without masks ID images keep their background, and no loss is masked. */
  masks: z.boolean().default(true),
  /** Hang et al. 2023 (arXiv 2303.09556): 5 is usual; null: no weighting. */
  minSnrGamma: z.number().positive().nullable().default(null),
  /** Last layers of the vision transformer that are trained. The paper trains "part" of them. */
  visionLayers: z.int().nonnegative().default(4),
  /** Of a vision transformer that starts at random, where none is given to start from; all of it is then trained. */
  vision: vision.optional(),
  trigger: z.string().regex(/^\S+$/).default("img"),
  /** Computes each block again in the backward pass, so that less is kept in memory. */
  gradientCheckpointing: z.boolean().default(true),
  /** Updates after which the same batches come again, with the same noise: to see that a setting learns them at all. 0: never. */
  overfitBatches: z.int().nonnegative().default(0),
  /** Updates between samples; 0: none. Sampling loads the whole model beside the trainer. */
  sampleEvery: z.int().nonnegative().default(0),
  samplePrompts: z.array(z.string()).default([]),
  sampleSteps: count.default(30),
  checkpointSeconds: z.number().nonnegative().default(600),
  /** Updates between lines of metrics.jsonl. */
  reportEvery: count.default(10),
});
export type AdapterConfig = z.output<typeof schema>;
export type VisionSizes = z.output<typeof vision>;

/**
 * @param json what the config file holds
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
    `Correct it; fields are: ${Object.keys(schema.shape).join(", ")}.`,
  );
}

/** What a resumed run must share, one value for each field. How often it reports and samples may change. */
export function comparable({ vision, samplePrompts: _, ...config }: AdapterConfig): Record<string, string | number | boolean> {
  const free = ["sampleEvery", "sampleSteps", "checkpointSeconds", "steps", "seed", "accumulate"]; // the last three are compared anyway
  const kept = Object.entries(config).filter(([name]) => !free.includes(name));
  return Object.fromEntries(
    [...kept, ["vision", vision ?? null]].map(([name, v]) => [name, typeof v === "object" ? JSON.stringify(v) : v]),
  ) as Record<string, string | number | boolean>;
}
