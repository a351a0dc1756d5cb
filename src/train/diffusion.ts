import { floats } from "../core/array.ts";
import { gaussians } from "../core/random/gaussians.ts";
import type { Random } from "../core/random/seeded-random.ts";
import { add, mul, sub } from "../graph/ops/elementwise.ts";
import { reduceMean } from "../graph/ops/reduce.ts";
import { input } from "../graph/ops/source.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { Feeds } from "../runtime/runtime.ts";
import { squaredError } from "./losses.ts";

export type Prediction = "epsilon" | "v_prediction";

/** The noisy latents of a training batch, and the target of the model's prediction. */
export interface DiffusionInputs {
  /** [B, C, h, w] */
  readonly noisy: Tensor;
  readonly target: Tensor;
  /** [B] */
  readonly timestep: Tensor;
  /** Weight of each latent pixel's error: [B, 1, h, w] */
  readonly weight: Tensor;
}

/**
 * Adds noise as in Ho et al. 2020 (arXiv 2006.11239), equation 4; v as in Salimans and Ho 2022 (arXiv 2202.00512), section 4.
 * Inputs of the graph: `latents`, `noise` [B, C, h, w], `signal` and `sigma` [B, 1, 1, 1], `timestep` [B], `weight` [B, 1, h, w].
 */
export function diffusionInputs(dims: readonly [number, number, number, number], prediction: Prediction): DiffusionInputs {
  const [b, , h, w] = dims;
  const latents = input("latents", dims);
  const noise = input("noise", dims);
  const signal = input("signal", [b, 1, 1, 1]);
  const sigma = input("sigma", [b, 1, 1, 1]);
  return {
    noisy: add(mul(latents, signal), mul(noise, sigma)),
    target: prediction === "epsilon" ? noise : sub(mul(noise, signal), mul(latents, sigma)),
    timestep: input("timestep", [b]),
    weight: input("weight", [b, 1, h, w]),
  };
}

/** Weighted squared error of a prediction, and its unweighted mean to report. */
export function diffusionLoss(
  output: Tensor,
  { target, weight }: DiffusionInputs,
): { readonly loss: Tensor; readonly plain: Tensor } {
  const d = sub(output, target);
  return { loss: squaredError(output, target, weight), plain: reduceMean(mul(d, d)) };
}

/**
 * Feeds for {@link diffusionInputs}, except weights and latents. Timesteps are spread evenly over the batch, then shifted
 * at random.
 * @param power below 1, late timesteps come more often: a share u of all lies below u^power
 */
export function noiseFeeds(
  random: Random,
  dims: readonly [number, number, number, number],
  alphasCumprod: Float32Array,
  power = 1,
): Feeds {
  const [b, c, h, w] = dims;
  const steps = alphasCumprod.length;
  const shift = random.uniform();
  const timesteps = Float32Array.from({ length: b }, (_, i) => Math.floor(((i + shift) / b) ** power * steps));
  const column = (value: (alpha: number) => number): Float32Array => timesteps.map((t) => value(alphasCumprod[t]!));
  return {
    noise: floats(gaussians(random, b * c * h * w), b, c, h, w),
    signal: floats(column(Math.sqrt), b, 1, 1, 1),
    sigma: floats(
      column((alpha) => Math.sqrt(1 - alpha)),
      b,
      1,
      1,
      1,
    ),
    timestep: floats(timesteps, b),
  };
}

/**
 * Min-SNR weight of a sample's loss, so that easy timesteps, those with little noise, do not outweigh the others: Hang et al. 2023
 * (arXiv 2303.09556), section 3.4. It is min(SNR, gamma) for a loss on the clean image; a loss on the noise is SNR times as large, and one
 * on the velocity SNR + 1 times, so the weight is divided by that.
 * @param alphaCumprod what is left of the signal, squared: SNR is alphaCumprod / (1 - alphaCumprod)
 */
export function minSnrWeight(alphaCumprod: number, gamma: number, prediction: Prediction): number {
  const snr = alphaCumprod / (1 - alphaCumprod);
  if (prediction === "v_prediction") return Math.min(snr, gamma) / (snr + 1);
  return snr <= gamma ? 1 : gamma / snr;
}
