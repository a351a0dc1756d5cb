import { floats } from "../core/array.ts";
import { gaussians } from "../core/random/gaussians.ts";
import { seededRandom } from "../core/random/seeded-random.ts";
import { abs, add, exp, mul, sub } from "../graph/ops/elementwise.ts";
import { slice } from "../graph/ops/layout.ts";
import { reduceMean } from "../graph/ops/reduce.ts";
import { averagePool } from "../graph/ops/resample.ts";
import { input } from "../graph/ops/source.ts";
import { size, type Tensor } from "../graph/tensor.ts";
import { Weights } from "../graph/weights.ts";
import { vaeDecode, vaeEncode } from "../models/vae.ts";
import { vaeConfig } from "../models/vae-config.ts";
import type { TrainingTask } from "../train/run.ts";
import { TrainableWeights } from "../train/trainable-weights.ts";
import { LATENT_CHANNELS, LATENT_SIDE, SIDE, VAE_CONFIG } from "./configs.ts";
import type { DataSet } from "./data-set.ts";
import type { Importance } from "./importance.ts";
import { pictureBatch } from "./picture-batch.ts";
import { usualRun } from "./usual-run.ts";

export interface TaskOptions {
  readonly steps: number;
  /** Pictures per worker and step. */
  readonly batch: number;
  readonly seed: number;
}

const KL = 1e-5;
const IMPORTANCE: Importance = { person: 1, face: 2, eyes: 4 };

/**
 * Task of the autoencoder: Rombach et al. 2021 (arXiv 2112.10752), section 3.1, without the discriminator, which such simple pictures do not need.
 */
export function vaeTask(data: DataSet, { steps, batch, seed }: TaskOptions): TrainingTask {
  const weights = new TrainableWeights();
  const w = new Weights(weights);
  const config = vaeConfig(VAE_CONFIG, new Map());
  const x = input("pictures", [batch, 3, SIDE, SIDE]);
  const weight = input("weight", [batch, 1, SIDE, SIDE]);
  const noise = input("noise", [batch, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE]);
  const { mean, logVariance } = vaeEncode(x, w, config);
  const variance = exp(logVariance);
  const z = add(mean, mul(exp(mul(logVariance, 0.5)), noise));
  const d = sub(vaeDecode(z, w, config), x);
  const kl = mul(reduceMean(sub(add(mul(mean, mean), variance), add(logVariance, 1))), 0.5);
  const error = reconstructionLoss(d, weight);
  return {
    name: "vae",
    weights,
    loss: add(error, mul(kl, KL)),
    metrics: { mse: reduceMean(mul(d, d)), kl },
    batch: ({ step, worker }) => {
      const random = seededRandom(seed, step, worker);
      const chosen = Array.from({ length: batch }, () => random.integer(data.scenes.length));
      const count = LATENT_CHANNELS * LATENT_SIDE * LATENT_SIDE;
      return {
        ...pictureBatch(data, chosen, IMPORTANCE),
        noise: floats(gaussians(random, batch * count), batch, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE),
      };
    },
    groups: [{ match: () => true, learningRate: 2e-3, weightDecay: 1e-4 }],
    rate: { kind: "cosine", warmUp: 100, flat: 0.3 },
    ...usualRun(data, { steps, batch, seed }),
  };
}

/** Absolute and squared error of pixels, edges and block averages; the latter give colours the weight they lack in single pixels. */
function reconstructionLoss(d: Tensor, weight: Tensor): Tensor {
  const pixels = reduceMean(mul(weight, add(abs(d), mul(d, d))));
  const along = (axis: number): Tensor => {
    const n = (size(d, axis) as number) - 1;
    return reduceMean(abs(sub(slice(d, axis, 1, n), slice(d, axis, 0, n))));
  };
  const coarse = averagePool(d, 4);
  const chroma = sub(coarse, reduceMean(coarse, [1], true));
  const colours = add(mul(reduceMean(mul(coarse, coarse)), 3), mul(reduceMean(mul(chroma, chroma)), 2));
  return add(add(pixels, mul(add(along(2), along(3)), 0.5)), colours);
}
