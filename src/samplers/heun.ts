import { ask } from "./ask.ts";
import { type SchedulerConfig, type SchedulerFields, withDefaults } from "./config.ts";
import { eulerInitSigma, eulerSchedule, toUnitVariance } from "./euler-schedule.ts";
import type { Ladder } from "./ladder.ts";
import { BETA_DEFAULTS, noiseSchedule } from "./noise-schedule.ts";
import { addNoiseAt, kept, toOriginal } from "./prediction.ts";
import { clamp, combine, type Latents, type SampleOptions, type Sampler, type Sampling } from "./sampler.ts";
import { SIGMA_DEFAULTS } from "./sigmas.ts";
import { placesFrom } from "./starts.ts";

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
 * Heun's method without churn: Karras et al. 2022 (arXiv 2206.00364), algorithm 2. Each step has two evaluations, the last step one.
 * @see diffusers HeunDiscreteScheduler
 */
export function heun(config: SchedulerConfig, steps: number): Sampler {
  const fields = withDefaults(config, DEFAULTS);
  const { prediction_type: type } = fields;
  const laid = eulerSchedule(fields, noiseSchedule(fields), steps);
  const sigmas = [...laid.sigmas, 0].map(Math.fround);
  const scale = (x: Latents, index: number): Latents => toUnitVariance(x, sigmas[index]!);
  const initNoiseSigma = eulerInitSigma(fields.timestep_spacing, sigmas);
  return heunOver({ timesteps: laid.timesteps, sigmas, type, scale, initNoiseSigma }, clipOf(fields));
}

/** The largest value of the predicted original, where a config asks for one. */
const clipOf = ({ clip_sample, clip_sample_range }: Pick<SchedulerFields, "clip_sample" | "clip_sample_range">) =>
  clip_sample ? clip_sample_range : undefined;

/** Heun's method over given noise levels. */
export function heunOver(ladder: Ladder, clip?: number): Sampler {
  const { type, initNoiseSigma } = ladder;
  const twice = (values: readonly number[]): number[] => values.flatMap((v, i) => (i === 0 ? [v] : [v, v]));
  const timesteps = twice(ladder.timesteps);
  const sigmas = [...twice(ladder.sigmas.slice(0, -1)), ladder.sigmas.at(-1)!];
  const levels = sigmas.slice(0, timesteps.length).map(kept);
  const scale = (x: Latents, index: number): Latents => ladder.scale(x, Math.ceil(index / 2));
  const starts = ladder.timesteps.map((_, step) => 2 * step);

  const derivative = (x: Latents, output: Latents, sigma: number): Latents => {
    const original = toOriginal(type, output, x, kept(sigma));
    return combine([1 / sigma, x], [-1 / sigma, clip === undefined ? original : clamp(original, clip)]);
  };

  function* sample(x: Latents, { from }: SampleOptions): Sampling {
    const asked = { type, timesteps, levels, scale };
    for (const index of placesFrom({ timesteps, starts }, from)) {
      if (index % 2 === 1) continue; // the second evaluation of a step
      const [sigma, next] = [sigmas[index]!, sigmas[index + 1]!];
      const begin = yield* ask(asked, x, index);
      const slope = derivative(begin.latents, begin.output, sigma);
      x = combine([1, begin.latents], [next - sigma, slope]);
      if (index + 1 === timesteps.length) return x;
      const end = yield* ask(asked, x, index + 1);
      const slopeThere = derivative(end.latents, end.output, next);
      x = combine([1, begin.latents], [(next - sigma) / 2, slope], [(next - sigma) / 2, slopeThere]);
    }
    return x;
  }
  return { timesteps, sigmas, starts, initNoiseSigma, addNoise: addNoiseAt(levels), sample };
}
