import { ask } from "./ask.ts";
import { type SchedulerConfig, type SchedulerFields, withDefaults } from "./config.ts";
import type { Ladder } from "./ladder.ts";
import { BETA_DEFAULTS, noiseSchedule } from "./noise-schedule.ts";
import { addNoiseAt, atCumprod, kept, toNoise, toOriginal } from "./prediction.ts";
import { clamp, combine, type Latents, type SampleOptions, type Sampler, type Sampling } from "./sampler.ts";
import { spacedTimesteps } from "./spacing.ts";
import { everyPlace, placesFrom } from "./starts.ts";

const DEFAULTS = {
  ...BETA_DEFAULTS,
  clip_sample: true,
  clip_sample_range: 1,
  set_alpha_to_one: true,
  steps_offset: 0,
  prediction_type: "epsilon",
  timestep_spacing: "leading",
  rescale_betas_zero_snr: false,
} satisfies Partial<SchedulerFields>;

/**
 * DDIM: Song et al. 2020 (arXiv 2010.02502), equations 12 and 16; the sampler of the PhotoMaker paper.
 * @see diffusers DDIMScheduler
 */
export function ddim(config: SchedulerConfig, steps: number): Sampler {
  const fields = withDefaults(config, DEFAULTS);
  const { prediction_type: type, num_train_timesteps: trainSteps } = fields;
  const { alphasCumprod } = noiseSchedule(fields, fields.rescale_betas_zero_snr ? "exact" : "no");
  const timesteps = spacedTimesteps(fields.timestep_spacing, { trainSteps, steps, offset: fields.steps_offset, whole: true });
  const final = fields.set_alpha_to_one ? 1 : alphasCumprod[0]!;
  const stride = Math.floor(trainSteps / steps);
  const levels = timesteps.map((t) => atCumprod(alphasCumprod[t]!));
  const starts = everyPlace(timesteps);

  function* sample(x: Latents, { noise, eta = 0, from }: SampleOptions): Sampling {
    for (const index of placesFrom({ timesteps, starts }, from)) {
      const timestep = timesteps[index]!;
      const previous = timestep - stride;
      const [now, then] = [alphasCumprod[timestep]!, previous >= 0 ? alphasCumprod[previous]! : final];
      const { output, latents } = yield* ask({ type, timesteps, levels }, x, index);
      const direction = toNoise(type, output, latents, levels[index]!);
      const whole = toOriginal(type, output, latents, levels[index]!);
      const original = fields.clip_sample ? clamp(whole, fields.clip_sample_range) : whole;
      const deviation = eta * Math.sqrt(((1 - then) / (1 - now)) * (1 - now / then));
      const rest = Math.max(0, 1 - then - deviation ** 2); // 0 for pure noise with eta 1, where rounding may give a negative number
      x = combine([Math.sqrt(then), original], [Math.sqrt(rest), direction]);
      if (eta > 0) x = combine([1, x], [deviation, noise.randn(x.length)]);
    }
    return x;
  }
  return { timesteps, starts, initNoiseSigma: 1, addNoise: addNoiseAt(levels), sample };
}

/** The same over given noise levels: equation 12 divided by √ᾱ, with σ² = (1 - ᾱ) / ᾱ. */
export function ddimOver({ timesteps, sigmas, type, scale, initNoiseSigma }: Ladder): Sampler {
  const levels = sigmas.slice(0, timesteps.length).map(kept);
  const starts = everyPlace(timesteps);

  function* sample(x: Latents, { noise, eta = 0, from }: SampleOptions): Sampling {
    for (const index of placesFrom({ timesteps, starts }, from)) {
      const [now, then] = [sigmas[index]!, sigmas[index + 1]!];
      const { output, latents } = yield* ask({ type, timesteps, levels, scale }, x, index);
      const original = toOriginal(type, output, latents, levels[index]!);
      const deviation = eta * Math.sqrt(1 - (then / now) ** 2) * then;
      const direction = Math.sqrt(Math.max(0, then ** 2 - deviation ** 2)) / now;
      x = combine([1 - direction, original], [direction, latents]);
      if (eta > 0) x = combine([1, x], [deviation, noise.randn(x.length)]);
    }
    return x;
  }
  return { timesteps, sigmas, starts, initNoiseSigma, addNoise: addNoiseAt(levels), sample };
}
