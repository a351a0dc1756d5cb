import { ask } from "./ask.ts";
import { type SchedulerConfig, type SchedulerFields, withDefaults } from "./config.ts";
import { noiseSchedule } from "./noise-schedule.ts";
import { addNoiseAt, toNoise, toOriginal } from "./prediction.ts";
import { combine, type Latents, type SampleOptions, type Sampler, type Sampling } from "./sampler.ts";
import { SOLVER_DEFAULTS, type SolverLadder, type SolverLevel, solverLevel, solverSchedule } from "./solver-schedule.ts";
import { everyPlace, placesFrom } from "./starts.ts";

const DEFAULTS = {
  ...SOLVER_DEFAULTS,
  predict_x0: true,
  solver_type: "bh2",
  disable_corrector: [],
} satisfies Partial<SchedulerFields>;

/**
 * UniPC: Zhao et al. 2023 (arXiv 2302.04867), algorithms 1 and 2, with B(h) = h or e^h - 1. Each output of the model first
 * corrects the step that led to it, then predicts the next.
 * @see diffusers UniPCMultistepScheduler
 */
export function unipc(config: SchedulerConfig, steps: number): Sampler {
  const fields = withDefaults(config, DEFAULTS);
  const schedule = noiseSchedule(fields, fields.rescale_betas_zero_snr ? "finite" : "no");
  const { timesteps, sigmas } = solverSchedule(fields, schedule, steps, {
    last: fields.num_train_timesteps,
    lu: false,
    endsAtOwnSigma: true,
    rounds: true,
  });
  const levels = sigmas.map(solverLevel);
  return unipcOver({ timesteps, sigmas, levels, type: fields.prediction_type, initNoiseSigma: 1 }, config);
}

/**
 * The same over given levels.
 * @param config for the method; what it says of the levels is not read
 */
export function unipcOver(ladder: SolverLadder, config: SchedulerConfig): Sampler {
  const { timesteps, sigmas, levels, type, scale, initNoiseSigma } = ladder;
  const fields = withDefaults(config, DEFAULTS);
  const pictures = fields.predict_x0;
  const bh1 = fields.solver_type === "bh1";
  const starts = everyPlace(timesteps);

  function* sample(x: Latents, { from = 0 }: SampleOptions): Sampling {
    let answers: Latents[] = []; // the newest first
    let order = 1;
    let last = x;
    for (const index of placesFrom({ timesteps, starts }, from)) {
      const { output, latents } = yield* ask({ type, timesteps, levels, ...(scale && { scale }) }, x, index);
      const answer = (pictures ? toOriginal : toNoise)(type, output, latents, levels[index]!);
      x = latents;
      if (index > from && !fields.disable_corrector.includes(index - 1))
        x = move(last, answers, levels, { to: index, order, pictures, bh1, answerThere: answer });
      answers = [answer, ...answers].slice(0, fields.solver_order);
      const left = fields.lower_order_final ? timesteps.length - index : fields.solver_order;
      order = Math.min(fields.solver_order, left, answers.length);
      last = x;
      x = move(x, answers, levels, { to: index + 1, order, pictures, bh1 });
    }
    return x;
  }
  const addNoise = addNoiseAt(levels.slice(0, timesteps.length));
  return { timesteps, sigmas, starts, initNoiseSigma, addNoise, sample };
}

interface Move {
  /** Index of the level to go to, from the one before it. */
  readonly to: number;
  readonly order: number;
  readonly pictures: boolean;
  readonly bh1: boolean;
  /** The model's output at level `to`, when the step is corrected. */
  readonly answerThere?: Latents;
}

/**
 * The predictor and, with an output at the end point, the corrector.
 * @param answers the model's outputs at the start and before, the newest first
 */
function move(
  x: Latents,
  answers: readonly Latents[],
  levels: readonly SolverLevel[],
  { to, order, pictures, bh1, answerThere }: Move,
): Latents {
  const [end, start] = [levels[to]!, levels[to - 1]!];
  const h = end.lambda - start.lambda;
  const hh = pictures ? -h : h;
  const growth = Math.expm1(hh);
  const b = bh1 ? hh : growth;
  const ratios = Array.from({ length: order - 1 }, (_, i) => (levels[to - 2 - i]!.lambda - start.lambda) / h);
  const rhos = weights(ratios, hh, b, answerThere !== undefined);

  const [carry, kept] = pictures ? [end.sigma / start.sigma, end.alpha] : [end.alpha / start.alpha, end.sigma];
  const [newest, ...older] = answers as [Latents, ...Latents[]];
  const terms: [number, Latents][] = [[carry, x]];
  let ofNewest = -kept * growth;
  for (const [i, ratio] of ratios.entries()) {
    const weight = (-kept * b * rhos[i]!) / ratio;
    terms.push([weight, older[i]!]);
    ofNewest -= weight;
  }
  if (answerThere !== undefined) {
    const weight = -kept * b * rhos.at(-1)!;
    terms.push([weight, answerThere]);
    ofNewest -= weight;
  }
  return combine(...terms, [ofNewest, newest]);
}

/** Coefficients of equation 10, which make the step exact for polynomials of its order. */
function weights(ratios: readonly number[], hh: number, b: number, corrects: boolean): number[] {
  const order = ratios.length + 1;
  if (corrects ? order === 1 : order <= 2) return order === 1 && !corrects ? [] : [0.5];
  const rks = [...ratios, 1];
  const right: number[] = [];
  let phi = Math.expm1(hh) / hh - 1;
  let factorial = 1;
  for (let i = 1; i <= order; i++) {
    right.push((phi * factorial) / b);
    factorial *= i + 1;
    phi = phi / hh - 1 / factorial;
  }
  const n = corrects ? order : order - 1;
  const rows = Array.from({ length: n }, (_, i) => rks.slice(0, n).map((r) => r ** i));
  return solve(rows, right.slice(0, n));
}

/** Gaussian elimination for systems of at most three equations. */
function solve(rows: readonly (readonly number[])[], right: readonly number[]): number[] {
  const m = rows.map((row, i) => [...row, right[i]!]);
  const n = m.length;
  for (let i = 0; i < n; i++) {
    const pivot = m.slice(i).reduce((best, row, j) => (Math.abs(row[i]!) > Math.abs(m[best]![i]!) ? i + j : best), i);
    [m[i], m[pivot]] = [m[pivot]!, m[i]!];
    for (let j = 0; j < n; j++) {
      if (j === i) continue;
      const factor = m[j]![i]! / m[i]![i]!;
      m[j] = m[j]!.map((v, k) => v - factor * m[i]![k]!);
    }
  }
  return m.map((row, i) => row[n]! / row[i]!);
}
