import { floats } from "../core/array.ts";
import { seededRandom } from "../core/random/seeded-random.ts";
import { abs, add, mul, sub } from "../graph/ops/elementwise.ts";
import { reduceMean } from "../graph/ops/reduce.ts";
import { input } from "../graph/ops/source.ts";
import { Weights } from "../graph/weights.ts";
import { vaeDecode } from "../models/vae.ts";
import { vaeConfig } from "../models/vae-config.ts";
import type { TrainingTask } from "../train/run.ts";
import { TrainableWeights } from "../train/trainable-weights.ts";
import type { Tensors } from "../weights/index.ts";
import { latentDims, latentRows } from "./base-task.ts";
import { SIDE, VAE_CONFIG } from "./configs.ts";
import type { DataSet } from "./data-set.ts";
import type { Importance } from "./importance.ts";
import { pictureBatch } from "./picture-batch.ts";
import { usualRun } from "./usual-run.ts";
import type { TaskOptions } from "./vae-task.ts";

export interface DecoderOptions extends TaskOptions {
  /** Unscaled latents of all pictures: [pictures, LATENT_SIZE]. */
  readonly latents: Float32Array;
  /** The finished autoencoder whose decoder is trained further. */
  readonly vae: Tensors;
}

const IMPORTANCE: Importance = { person: 0.5, face: 0.5, eyes: 1 };
const ABSOLUTE = 0.1;

/**
 * Task that trains only the autoencoder's decoder further: latents, and all models trained on them, stay valid. The loss is mainly the squared
 * error, as for Stable Diffusion's finetuned decoder ("ft-MSE").
 */
export function decoderTask(data: DataSet, { steps, batch, seed, latents, vae }: DecoderOptions): TrainingTask {
  const weights = new TrainableWeights();
  const z = input("latents", latentDims(batch));
  const weight = input("weight", [batch, 1, SIDE, SIDE]);
  const d = sub(vaeDecode(z, new Weights(weights), vaeConfig(VAE_CONFIG, new Map())), input("pictures", [batch, 3, SIDE, SIDE]));
  const squared = mul(d, d);
  return {
    name: "decoder",
    weights,
    loss: reduceMean(mul(weight, add(squared, mul(abs(d), ABSOLUTE)))),
    metrics: { mse: reduceMean(squared) },
    batch: ({ step, worker }) => {
      const random = seededRandom(seed, step, worker);
      const chosen = Array.from({ length: batch }, () => random.integer(data.scenes.length));
      return {
        latents: floats(latentRows(latents, chosen), ...latentDims(batch)),
        ...pictureBatch(data, chosen, IMPORTANCE),
      };
    },
    groups: [{ match: () => true, learningRate: 1e-3, weightDecay: 1e-4 }],
    rate: { kind: "cosine", warmUp: 100, flat: 0.2 },
    ...usualRun(data, { steps, batch, seed }),
    from: vae,
  };
}
