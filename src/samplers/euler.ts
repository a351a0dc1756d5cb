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

const NO_CHURN: Churn = { churn: 0, noise: 1 };

/**
 * Euler's method: Karras et al. 2022 (arXiv 2206.00364), algorithm 2 without its second-order correction.
 * @see diffusers EulerDiscreteScheduler
 */
export function euler(config: SchedulerConfig, steps: number, churn: Churn = NO_CHURN): Sampler {
  const fields = withDefaults(config, DEFAULTS);
  const schedule = noiseSchedule(fields, fields.rescale_betas_zero_snr ? "finite" : "no");
  const laid = eulerSchedule(fields, schedule, steps, fields.interpolation_type);
  const last = fields.final_sigmas_type === "zero" ? 0 : schedule.sigmas[0]!;
  const sigmas = [...laid.sigmas, last].map(Math.fround);
  const continuous = fields.timestep_type === "continuous" && fields.prediction_type === "v_prediction";
  const timesteps = continuous ? laid.timesteps.map((_, i) => Math.fround(0.25 * Math.log(laid.sigmas[i]!))) : laid.timesteps;
  const { prediction_type: type } = fields;
  const scale = (x: Latents, index: number): Latents => toUnitVariance(x, sigmas[index]!);
  const initNoiseSigma = eulerInitSigma(fields.timestep_spacing, sigmas);
  return eulerOver({ timesteps, sigmas, type, scale, initNoiseSigma }, churn);
}

/** Euler's method over given noise levels. */
export function eulerOver({ timesteps, sigmas, type, scale, initNoiseSigma }: Ladder, churn: Churn = NO_CHURN): Sampler {
  const levels = sigmas.slice(0, timesteps.length).map(kept);
  const starts = everyPlace(timesteps);

  function* sample(x: Latents, { noise, from }: SampleOptions): Sampling {
    for (const index of placesFrom({ timesteps, starts }, from)) {
      const [sigma, next] = [sigmas[index]!, sigmas[index + 1]!];
      const { output, latents } = yield* ask({ type, timesteps, levels, scale }, x, index);
      x = latents;
      const gamma = Math.min(churn.churn / (sigmas.length - 1), Math.SQRT2 - 1);
      const hat = sigma * (gamma + 1);
      if (gamma > 0) x = combine([1, x], [churn.noise * Math.sqrt(hat * hat - sigma * sigma), noise.randn(x.length)]);
      // diffusers takes the churned level for epsilon and EDM, and the plain one for velocity
      const original = toOriginal(type, output, x, kept(type === "epsilon" || typeof type === "object" ? hat : sigma));
      const slope = (next - hat) / hat;
      x = combine([1 + slope, x], [-slope, original]);
    }
    return x;
  }
  return { timesteps, sigmas, starts, initNoiseSigma, addNoise: addNoiseAt(levels), sample };
}
