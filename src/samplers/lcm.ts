import { ask } from "./ask.ts";
import { type SchedulerConfig, withDefaults } from "./config.ts";
import { DISTILLED_DEFAULTS, distilledTimesteps } from "./distilled-schedule.ts";
import { noiseSchedule } from "./noise-schedule.ts";
import { addNoiseAt, atCumprod, toOriginal } from "./prediction.ts";
import { clamp, combine, type Latents, type SampleOptions, type Sampler, type Sampling } from "./sampler.ts";
import { everyPlace, placesFrom } from "./starts.ts";

/** σ_data of Song et al. 2023 (arXiv 2303.01469), appendix C. */
const SIGMA_DATA = 0.5;

/**
 * Latent consistency models: Luo et al. 2023 (arXiv 2310.04378), algorithm 3.
 * @param given timesteps to use instead of those from config and steps: diffusers' `timesteps`
 * @see diffusers LCMScheduler
 */
export function lcm(config: SchedulerConfig, steps: number, given?: readonly number[]): Sampler {
  const fields = withDefaults(config, DISTILLED_DEFAULTS);
  const { prediction_type: type } = fields;
  const { alphasCumprod } = noiseSchedule(fields, fields.rescale_betas_zero_snr ? "exact" : "no");
  const timesteps = given ?? distilledTimesteps(fields.num_train_timesteps, fields.original_inference_steps, steps);
  const levels = timesteps.map((t) => atCumprod(alphasCumprod[t]!));
  const starts = everyPlace(timesteps);

  function* sample(x: Latents, { noise, from }: SampleOptions): Sampling {
    for (const index of placesFrom({ timesteps, starts }, from)) {
      const { output, latents } = yield* ask({ type, timesteps, levels }, x, index);
      const whole = toOriginal(type, output, latents, levels[index]!);
      const original = fields.clip_sample ? clamp(whole, fields.clip_sample_range) : whole;
      const scaled = timesteps[index]! * fields.timestep_scaling;
      const total = scaled ** 2 + SIGMA_DATA ** 2;
      const denoised = combine([scaled / Math.sqrt(total), original], [SIGMA_DATA ** 2 / total, latents]);
      const level = levels[index + 1];
      if (level === undefined) return denoised;
      x = combine([level.alpha, denoised], [level.sigma, noise.randn(x.length)]);
    }
    return x;
  }
  return { timesteps, starts, initNoiseSigma: 1, addNoise: addNoiseAt(levels), sample };
}
