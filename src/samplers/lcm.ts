import { type SchedulerConfig, withDefaults } from "./config.ts";
import { DISTILLED_DEFAULTS, distilledTimesteps } from "./distilled-schedule.ts";
import { noiseSchedule } from "./noise-schedule.ts";
import { atCumprod, toOriginal } from "./prediction.ts";
import { clamp, combine, type Latents, type SampleOptions, type Sampler, type Sampling } from "./sampler.ts";

/** σ_data of Song et al. 2023 (arXiv 2303.01469), appendix C. */
const SIGMA_DATA = 0.5;

/**
 * Latent consistency models: Luo et al. 2023 (arXiv 2310.04378), algorithm 3.
 * @param given timesteps to take instead of those that config and steps lay out: diffusers' `timesteps`
 * @see diffusers LCMScheduler
 */
export function lcm(config: SchedulerConfig, steps: number, given?: readonly number[]): Sampler {
  const fields = withDefaults(config, DISTILLED_DEFAULTS);
  const { prediction_type: type } = fields;
  const { alphasCumprod } = noiseSchedule(fields, fields.rescale_betas_zero_snr ? "exact" : "no");
  const timesteps = given ?? distilledTimesteps(fields.num_train_timesteps, fields.original_inference_steps, steps);

  function* sample(x: Latents, { noise }: SampleOptions): Sampling {
    for (const [index, timestep] of timesteps.entries()) {
      const at = x;
      const toStart = (output: Latents): Latents => toOriginal(type, output, at, atCumprod(alphasCumprod[timestep]!));
      const output = yield { sample: x, timestep, index, latents: x, original: toStart };
      const original = fields.clip_sample ? clamp(toStart(output), fields.clip_sample_range) : toStart(output);
      const scaled = timestep * fields.timestep_scaling;
      const total = scaled ** 2 + SIGMA_DATA ** 2;
      const denoised = combine([scaled / Math.sqrt(total), original], [SIGMA_DATA ** 2 / total, x]);
      const next = timesteps[index + 1];
      if (next === undefined) return denoised;
      const level = atCumprod(alphasCumprod[next]!);
      x = combine([level.alpha, denoised], [level.sigma, noise.randn(x.length)]);
    }
    return x;
  }
  return { timesteps, initNoiseSigma: 1, sample };
}
