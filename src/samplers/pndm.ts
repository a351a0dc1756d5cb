import { UserError } from "../core/errors.ts";
import { ask } from "./ask.ts";
import { type SchedulerConfig, type SchedulerFields, withDefaults } from "./config.ts";
import { BETA_DEFAULTS, noiseSchedule } from "./noise-schedule.ts";
import { addNoiseAt, atCumprod, toNoise } from "./prediction.ts";
import { combine, type Latents, type SampleOptions, type Sampler, type Sampling } from "./sampler.ts";
import { spacedTimesteps } from "./spacing.ts";
import { placesFrom } from "./starts.ts";

const DEFAULTS = {
  ...BETA_DEFAULTS,
  skip_prk_steps: false,
  set_alpha_to_one: false,
  prediction_type: "epsilon",
  timestep_spacing: "leading",
  steps_offset: 0,
} satisfies Partial<SchedulerFields>;

/** Number of steps that the Runge-Kutta start replaces. */
const START_STEPS = 4;

/**
 * Pseudo linear multistep: Liu et al. 2022 (arXiv 2202.09778), equations 9 and 11 to 13. The start is either
 * Runge-Kutta, or (skip_prk_steps, as in SDXL's configs) a corrected Euler step.
 *
 * A run from the middle begins with an Euler step without the correction, for which its timesteps leave no room. In diffusers it begins with
 * the second of a pair of equal timesteps, corrects at the wrong one, and stays one step behind: with a denoiser that predicts the added noise
 * exactly, 0.40 of the noise is left after a strength of 0.6 in 10 steps, and 0.03 here (reference/img2img_samplers.py).
 * @see diffusers PNDMScheduler
 */
export function pndm(config: SchedulerConfig, steps: number): Sampler {
  const fields = withDefaults(config, DEFAULTS);
  const { prediction_type: type, num_train_timesteps: trainSteps, skip_prk_steps: plain } = fields;
  if (type === "sample")
    throw new UserError(
      "scheduler/prediction",
      'pndm cannot sample a model that predicts the picture ("sample").',
      "Choose ddim.",
    );
  if (!plain && steps < START_STEPS)
    throw new UserError(
      "steps/invalid",
      `pndm with a Runge-Kutta start needs at least ${START_STEPS} steps, not ${steps}.`,
      "Take more steps.",
    );
  const { alphasCumprod } = noiseSchedule(fields);
  const final = fields.set_alpha_to_one ? 1 : alphasCumprod[0]!;
  const stride = Math.floor(trainSteps / steps);
  const half = Math.floor(stride / 2);
  const spaced = spacedTimesteps(fields.timestep_spacing, { trainSteps, steps, offset: fields.steps_offset, whole: true });
  const start = plain ? [] : rungeKuttaTimesteps(spaced, half);
  const rest = plain ? [spaced[0]!, ...spaced.slice(1, 2), ...spaced.slice(1)] : spaced.slice(START_STEPS - 1);
  const timesteps = [...start, ...rest];
  const levels = timesteps.map((t) => atCumprod(alphasCumprod[t]!));
  const starts = [...timesteps.keys()].filter((place) => (plain ? place !== 1 : place >= start.length || place % 4 === 0));
  const asked = { type, timesteps, levels };

  /** Moves latents from one timestep to another: equation 11. */
  function move(x: Latents, from: number, to: number, output: Latents): Latents {
    const [now, then] = [alphasCumprod[from]!, to >= 0 ? alphasCumprod[to]! : final];
    const noise = toNoise(type, output, x, atCumprod(now));
    const denominator = now * Math.sqrt(1 - then) + Math.sqrt(now * (1 - now) * then);
    return combine([Math.sqrt(then / now), x], [-(then - now) / denominator, noise]);
  }

  function* sample(x: Latents, { from }: SampleOptions): Sampling {
    const places = placesFrom({ timesteps, starts }, from);
    let outputs: Latents[] = [];
    for (const index of places.filter((place) => place < start.length && place % 4 === 0)) {
      const timestep = start[index]!;
      const { output: first, latents: begin } = yield* ask(asked, x, index);
      outputs.push(first);
      x = move(begin, timestep, timestep - half, first);
      const { output: second } = yield* ask(asked, x, index + 1);
      x = move(begin, timestep, start[index + 1]!, second);
      const { output: third } = yield* ask(asked, x, index + 2);
      x = move(begin, timestep, start[index + 2]! - half, third);
      const { output: fourth } = yield* ask(asked, x, index + 3);
      x = move(begin, timestep, start[index + 3]!, combine([1 / 6, first], [1 / 3, second], [1 / 3, third], [1 / 6, fourth]));
    }
    let begin = x;
    for (const index of places.filter((place) => place >= start.length)) {
      const timestep = timesteps[index]!;
      const { output, latents } = yield* ask(asked, x, index);
      if (plain && index === 1) {
        // the first step again, from the mean of both ends
        x = move(begin, timestep + stride, timestep, combine([0.5, output], [0.5, outputs.at(-1)!]));
        continue;
      }
      outputs = [...outputs.slice(-3), output];
      begin = latents;
      x = move(begin, timestep, timestep - stride, multistep(outputs));
    }
    return x;
  }
  return { timesteps, starts, initNoiseSigma: 1, addNoise: addNoiseAt(levels), sample };
}

/** Adams-Bashforth combination of the outputs; its order is their number, at most 4. */
function multistep(outputs: readonly Latents[]): Latents {
  const [d, c, b, a] = outputs.toReversed();
  if (a !== undefined) return combine([55 / 24, d!], [-59 / 24, c!], [37 / 24, b!], [-9 / 24, a]);
  if (b !== undefined) return combine([23 / 12, d!], [-16 / 12, c!], [5 / 12, b]);
  if (c !== undefined) return combine([1.5, d!], [-0.5, c]);
  return d!;
}

/** Timesteps of the Runge-Kutta start: each step is evaluated at its beginning, twice in the middle, and at its end. */
function rungeKuttaTimesteps(spaced: readonly number[], half: number): number[] {
  const rising = spaced.slice(0, START_STEPS).reverse();
  const withMiddles = rising.flatMap((t) => [t, t + half]);
  return withMiddles
    .slice(0, -1)
    .flatMap((t) => [t, t])
    .slice(1, -1)
    .reverse();
}
