import { UserError } from "../core/errors.ts";
import { ask } from "./ask.ts";
import { type SchedulerConfig, type SchedulerFields, withDefaults } from "./config.ts";
import { eulerInitSigma, eulerSchedule, toUnitVariance } from "./euler-schedule.ts";
import type { Ladder } from "./ladder.ts";
import { BETA_DEFAULTS, noiseSchedule } from "./noise-schedule.ts";
import { addNoiseAt, kept, toOriginal } from "./prediction.ts";
import { combine, type Latents, type SampleOptions, type Sampler, type Sampling } from "./sampler.ts";
import { SIGMA_DEFAULTS } from "./sigmas.ts";
import { everyPlace, placesFrom } from "./starts.ts";

const DEFAULTS = {
  ...BETA_DEFAULTS,
  prediction_type: "epsilon",
  timestep_spacing: "linspace",
  steps_offset: 0,
  rescale_betas_zero_snr: false,
} satisfies Partial<SchedulerFields>;

/**
 * Euler's method that replaces part of the noise at each step: "Euler a" of Crowson's k-diffusion.
 * Noise is drawn at the last step too, where it weighs nothing, as diffusers does.
 * @see diffusers EulerAncestralDiscreteScheduler
 */
export function eulerAncestral(config: SchedulerConfig, steps: number): Sampler {
  const fields = withDefaults(config, DEFAULTS);
  const { prediction_type: type } = fields;
  if (type === "sample")
    throw new UserError(
      "scheduler/prediction",
      'euler_a cannot sample a model that predicts the picture ("sample").',
      "Choose euler.",
    );
  const schedule = noiseSchedule(fields, fields.rescale_betas_zero_snr ? "finite" : "no");
  const laid = eulerSchedule({ ...fields, ...SIGMA_DEFAULTS }, schedule, steps);
  const { timesteps } = laid;
  const sigmas = [...laid.sigmas, 0].map(Math.fround);
  const scale = (x: Latents, index: number): Latents => toUnitVariance(x, sigmas[index]!);
  const initNoiseSigma = eulerInitSigma(fields.timestep_spacing, sigmas);
  return eulerAncestralOver({ timesteps, sigmas, type, scale, initNoiseSigma });
}

/** The same over given noise levels. */
export function eulerAncestralOver({ timesteps, sigmas, type, scale, initNoiseSigma }: Ladder): Sampler {
  const levels = sigmas.slice(0, timesteps.length).map(kept);
  const starts = everyPlace(timesteps);

  function* sample(x: Latents, { noise, from }: SampleOptions): Sampling {
    for (const index of placesFrom({ timesteps, starts }, from)) {
      const [now, then] = [sigmas[index]!, sigmas[index + 1]!];
      const { output, latents } = yield* ask({ type, timesteps, levels, scale }, x, index);
      const original = toOriginal(type, output, latents, levels[index]!);
      const up = Math.sqrt((then ** 2 * (now ** 2 - then ** 2)) / now ** 2);
      const down = Math.sqrt(then ** 2 - up ** 2);
      const slope = (down - now) / now;
      x = combine([1 + slope, latents], [-slope, original], [up, noise.randn(x.length)]);
    }
    return x;
  }
  return { timesteps, sigmas, starts, initNoiseSigma, addNoise: addNoiseAt(levels), sample };
}
