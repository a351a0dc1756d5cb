import { UserError } from "../core/errors.ts";
import { ask } from "./ask.ts";
import { type SchedulerConfig, type SchedulerFields, withDefaults } from "./config.ts";
import { BETA_DEFAULTS, noiseSchedule } from "./noise-schedule.ts";
import { addNoiseAt, atCumprod, toOriginal } from "./prediction.ts";
import { clamp, combine, type Latents, type SampleOptions, type Sampler, type Sampling } from "./sampler.ts";
import { spacedTimesteps } from "./spacing.ts";
import { everyPlace, placesFrom } from "./starts.ts";

const DEFAULTS = {
  ...BETA_DEFAULTS,
  variance_type: "fixed_small",
  clip_sample: true,
  clip_sample_range: 1,
  prediction_type: "epsilon",
  timestep_spacing: "leading",
  steps_offset: 0,
  rescale_betas_zero_snr: false,
} satisfies Partial<SchedulerFields>;

/**
 * Ancestral sampling: Ho et al. 2020 (arXiv 2006.11239), equations 6 and 7, over any subset of the timesteps.
 * @see diffusers DDPMScheduler
 */
export function ddpm(config: SchedulerConfig, steps: number): Sampler {
  const fields = withDefaults(config, DEFAULTS);
  const { prediction_type: type, variance_type: variance } = fields;
  if (variance !== "fixed_small" && variance !== "fixed_large" && variance !== "fixed_small_log")
    throw new UserError(
      "scheduler/config",
      `The scheduler's config is not supported: variance_type "${variance}".`,
      "SDXL models have a fixed variance: use fixed_small, or another sampler.",
    );
  const { alphasCumprod } = noiseSchedule(fields, fields.rescale_betas_zero_snr ? "exact" : "no");
  const options = { trainSteps: fields.num_train_timesteps, steps, offset: fields.steps_offset, whole: true };
  const timesteps = spacedTimesteps(fields.timestep_spacing, options);
  const levels = timesteps.map((t) => atCumprod(alphasCumprod[t]!));
  const starts = everyPlace(timesteps);

  function* sample(x: Latents, { noise, from }: SampleOptions): Sampling {
    for (const index of placesFrom({ timesteps, starts }, from)) {
      const [timestep, next] = [timesteps[index]!, timesteps[index + 1]];
      const [now, then] = [alphasCumprod[timestep]!, next === undefined ? 1 : alphasCumprod[next]!];
      const { output, latents } = yield* ask({ type, timesteps, levels }, x, index);
      const whole = toOriginal(type, output, latents, levels[index]!);
      const original = fields.clip_sample ? clamp(whole, fields.clip_sample_range) : whole;
      const alpha = now / then;
      const beta = 1 - alpha;
      const mean = combine(
        [(Math.sqrt(then) * beta) / (1 - now), original],
        [(Math.sqrt(alpha) * (1 - then)) / (1 - now), latents],
      );
      const small = Math.max(((1 - then) / (1 - now)) * beta, 1e-20);
      const spread = Math.sqrt(variance === "fixed_large" ? beta : small);
      x = timestep > 0 ? combine([1, mean], [spread, noise.randn(x.length)]) : mean;
    }
    return x;
  }
  return { timesteps, starts, initNoiseSigma: 1, addNoise: addNoiseAt(levels), sample };
}
