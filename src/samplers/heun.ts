import { type SchedulerConfig, type SchedulerFields, withDefaults } from "./config.ts";
import { eulerInitSigma, eulerSchedule, toUnitVariance } from "./euler-schedule.ts";
import { BETA_DEFAULTS, noiseSchedule } from "./noise-schedule.ts";
import { kept, toOriginal } from "./prediction.ts";
import { clamp, combine, type Latents, type Query, type Sampler, type Sampling } from "./sampler.ts";
import { SIGMA_DEFAULTS } from "./sigmas.ts";

const DEFAULTS = {
  ...BETA_DEFAULTS,
  beta_start: 0.00085,
  beta_end: 0.012,
  ...SIGMA_DEFAULTS,
  prediction_type: "epsilon",
  timestep_spacing: "linspace",
  steps_offset: 0,
  clip_sample: false,
  clip_sample_range: 1,
} satisfies Partial<SchedulerFields>;

/**
 * Heun's method without churn: Karras et al. 2022 (arXiv 2206.00364), algorithm 2. Two questions a step but the last.
 * @see diffusers HeunDiscreteScheduler
 */
export function heun(config: SchedulerConfig, steps: number): Sampler {
  const fields = withDefaults(config, DEFAULTS);
  const { prediction_type: type } = fields;
  const laid = eulerSchedule(fields, noiseSchedule(fields), steps);
  const levels = [...laid.sigmas, 0].map(Math.fround);
  const twice = (values: readonly number[]): number[] => values.flatMap((v, i) => (i === 0 ? [v] : [v, v]));
  const timesteps = twice(laid.timesteps);
  const sigmas = [...twice(levels.slice(0, -1)), levels.at(-1)!];

  const query = (x: Latents, step: number, index: number): Query => ({
    sample: toUnitVariance(x, levels[step]!),
    timestep: laid.timesteps[step]!,
    index,
    latents: x,
    original: (output) => toOriginal(type, output, x, kept(levels[step]!)),
  });
  const derivative = (x: Latents, output: Latents, sigma: number): Latents => {
    const original = toOriginal(type, output, x, kept(sigma));
    return combine([1 / sigma, x], [-1 / sigma, fields.clip_sample ? clamp(original, fields.clip_sample_range) : original]);
  };

  function* sample(x: Latents): Sampling {
    let index = 0;
    for (let step = 0; step < laid.timesteps.length; step++) {
      const [sigma, next] = [levels[step]!, levels[step + 1]!];
      const slope = derivative(x, yield query(x, step, index++), sigma);
      const there = combine([1, x], [next - sigma, slope]);
      if (step + 1 === laid.timesteps.length) return there;
      const slopeThere = derivative(there, yield query(there, step + 1, index++), next);
      x = combine([1, x], [(next - sigma) / 2, slope], [(next - sigma) / 2, slopeThere]);
    }
    return x;
  }
  return { timesteps, sigmas, initNoiseSigma: eulerInitSigma(fields.timestep_spacing, sigmas), sample };
}
