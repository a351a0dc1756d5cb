import type { SchedulerFields } from "./config.ts";
import { combine, type Latents, type Sampler } from "./sampler.ts";

export type PredictionType = SchedulerFields["prediction_type"];

/** An output that is scaled and added to the scaled latents: Karras et al. 2022 (arXiv 2206.00364), equation 7. */
export interface EdmOutput {
  /** Deviation of the latents that the model was trained on, as it takes it. */
  readonly sigmaData: number;
  /** -1 where the output is subtracted: a velocity. */
  readonly sign: 1 | -1;
}

/** What a model's output means. */
export type OutputKind = PredictionType | EdmOutput;

/** Noise level of latents, with factors of signal and noise: x = alpha · x0 + sigma · noise. */
export interface Level {
  readonly alpha: number;
  readonly sigma: number;
}

/** The level with an unscaled signal, from the noise's standard deviation. */
export const kept = (sigma: number): Level => ({ alpha: 1, sigma });

/** The level at which signal and noise together have a variance of 1, from sigma as above. */
export function shared(sigma: number): Level {
  const alpha = 1 / Math.sqrt(sigma * sigma + 1);
  return { alpha, sigma: sigma * alpha };
}

/** The level at ᾱ. */
export const atCumprod = (alphaCumprod: number): Level => ({
  alpha: Math.sqrt(alphaCumprod),
  sigma: Math.sqrt(1 - alphaCumprod),
});

/** Makes a sampler's `addNoise` from the level at each of its timesteps. */
export const addNoiseAt =
  (levels: readonly Level[]): Sampler["addNoise"] =>
  (original, noise, index) => {
    const level = levels[index];
    if (level === undefined) throw new RangeError(`no timestep ${index}: there are ${levels.length}`);
    return combine([level.alpha, original], [level.sigma, noise]);
  };

/**
 * The prediction of the original, noise-free latents from the model's output. Velocity: Salimans and Ho 2022 (arXiv 2202.00512), appendix D.
 * @param x latents at `level`; at a level with alpha 1, the model was given x / √(sigma² + 1), or for EDM x / √(sigma² + sigmaData²)
 */
export function toOriginal(type: OutputKind, output: Latents, x: Latents, { alpha, sigma }: Level): Latents {
  if (typeof type === "object") {
    const total = Math.hypot(sigma, type.sigmaData);
    return combine([(type.sigmaData / total) ** 2, x], [(type.sign * sigma * type.sigmaData) / total, output]);
  }
  if (type === "sample") return output;
  if (type === "epsilon") return combine([1 / alpha, x], [-sigma / alpha, output]);
  const variance = alpha * alpha + sigma * sigma;
  return combine([alpha / variance, x], [-sigma / Math.sqrt(variance), output]);
}

/** The prediction of the noise from the model's output, at a level whose variance is 1; for EDM, at a level with alpha 1. */
export function toNoise(type: OutputKind, output: Latents, x: Latents, { alpha, sigma }: Level): Latents {
  if (typeof type === "object") return combine([1 / sigma, x], [-1 / sigma, toOriginal(type, output, x, { alpha, sigma })]);
  if (type === "epsilon") return output;
  if (type === "sample") return combine([1 / sigma, x], [-alpha / sigma, output]);
  return combine([alpha, output], [sigma, x]);
}
