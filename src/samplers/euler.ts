import { type SchedulerConfig, type SchedulerFields, withDefaults } from "./config.ts";
import { eulerInitSigma, eulerSchedule, toUnitVariance } from "./euler-schedule.ts";
import { BETA_DEFAULTS, noiseSchedule } from "./noise-schedule.ts";
import { kept, toOriginal } from "./prediction.ts";
import { combine, type Latents, type SampleOptions, type Sampler, type Sampling } from "./sampler.ts";
import { SIGMA_DEFAULTS } from "./sigmas.ts";

const DEFAULTS = {
  ...BETA_DEFAULTS,
  ...SIGMA_DEFAULTS,
  prediction_type: "epsilon",
  timestep_spacing: "linspace",
  timestep_type: "discrete",
  steps_offset: 0,
  rescale_betas_zero_snr: false,
  interpolation_type: "linear",
  final_sigmas_type: "zero",
} satisfies Partial<SchedulerFields>;

/** Noise added again before each step: Karras et al. 2022 (arXiv 2206.00364), algorithm 2, S_churn and S_noise. */
export interface Churn {
  readonly churn: number;
  readonly noise: number;
}

/**
 * Euler's method: Karras et al. 2022 (arXiv 2206.00364), algorithm 2 without its second-order correction.
 * @see diffusers EulerDiscreteScheduler
 */
export function euler(config: SchedulerConfig, steps: number, churn: Churn = { churn: 0, noise: 1 }): Sampler {
  const fields = withDefaults(config, DEFAULTS);
  const schedule = noiseSchedule(fields, fields.rescale_betas_zero_snr ? "finite" : "no");
  const laid = eulerSchedule(fields, schedule, steps, fields.interpolation_type);
  const last = fields.final_sigmas_type === "zero" ? 0 : schedule.sigmas[0]!;
  const levels = laid.sigmas.slice(0, laid.timesteps.length);
  const sigmas = [...laid.sigmas, last].map(Math.fround);
  const continuous = fields.timestep_type === "continuous" && fields.prediction_type === "v_prediction";
  const timesteps = continuous ? levels.map((s) => Math.fround(0.25 * Math.log(s))) : laid.timesteps;
  const { prediction_type: type } = fields;

  function* sample(x: Latents, { noise }: SampleOptions): Sampling {
    for (const [index, timestep] of timesteps.entries()) {
      const [sigma, next] = [sigmas[index]!, sigmas[index + 1]!];
      const at = x;
      const output = yield {
        sample: toUnitVariance(x, sigma),
        timestep,
        index,
        latents: x,
        original: (out) => toOriginal(type, out, at, kept(sigma)),
      };
      const gamma = Math.min(churn.churn / (sigmas.length - 1), Math.SQRT2 - 1);
      const hat = sigma * (gamma + 1);
      if (gamma > 0) x = combine([1, x], [churn.noise * Math.sqrt(hat * hat - sigma * sigma), noise.randn(x.length)]);
      // diffusers takes the churned level for epsilon and the plain one for velocity
      const original = toOriginal(type, output, x, kept(type === "epsilon" ? hat : sigma));
      const slope = (next - hat) / hat;
      x = combine([1 + slope, x], [-slope, original]);
    }
    return x;
  }
  return { timesteps, sigmas, initNoiseSigma: eulerInitSigma(fields.timestep_spacing, sigmas), sample };
}
