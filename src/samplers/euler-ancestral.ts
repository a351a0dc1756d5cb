import { UserError } from "../core/errors.ts";
import { type SchedulerConfig, type SchedulerFields, withDefaults } from "./config.ts";
import { eulerInitSigma, eulerSchedule, toUnitVariance } from "./euler-schedule.ts";
import { BETA_DEFAULTS, noiseSchedule } from "./noise-schedule.ts";
import { kept, toOriginal } from "./prediction.ts";
import { combine, type Latents, type SampleOptions, type Sampler, type Sampling } from "./sampler.ts";
import { SIGMA_DEFAULTS } from "./sigmas.ts";

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

  function* sample(x: Latents, { noise }: SampleOptions): Sampling {
    for (const [index, timestep] of timesteps.entries()) {
      const [from, to] = [sigmas[index]!, sigmas[index + 1]!];
      const at = x;
      const toStart = (output: Latents): Latents => toOriginal(type, output, at, kept(from));
      const output = yield { sample: toUnitVariance(x, from), timestep, index, latents: x, original: toStart };
      const up = Math.sqrt((to ** 2 * (from ** 2 - to ** 2)) / from ** 2);
      const down = Math.sqrt(to ** 2 - up ** 2);
      const slope = (down - from) / from;
      x = combine([1 + slope, x], [-slope, toStart(output)], [up, noise.randn(x.length)]);
    }
    return x;
  }
  return { timesteps, sigmas, initNoiseSigma: eulerInitSigma(fields.timestep_spacing, sigmas), sample };
}
