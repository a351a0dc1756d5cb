import { UserError } from "../core/errors.ts";
import { ask } from "./ask.ts";
import { type SchedulerConfig, type SchedulerFields, withDefaults } from "./config.ts";
import { noiseSchedule } from "./noise-schedule.ts";
import { addNoiseAt, toOriginal } from "./prediction.ts";
import { combine, type Latents, type SampleOptions, type Sampler, type Sampling } from "./sampler.ts";
import { SOLVER_DEFAULTS, type SolverLadder, type SolverLevel, solverLevel, solverSchedule } from "./solver-schedule.ts";
import { everyPlace, placesFrom } from "./starts.ts";

const DEFAULTS = {
  ...SOLVER_DEFAULTS,
  algorithm_type: "dpmsolver++",
  solver_type: "midpoint",
  euler_at_final: false,
  use_lu_lambdas: false,
  lambda_min_clipped: -Number.MAX_VALUE,
} satisfies Partial<SchedulerFields>;

/** Number of steps below which the last steps have a lower order, for stability. */
const FEW_STEPS = 15;

/**
 * DPM-Solver++ with several steps of memory, of order 1 to 3: Lu et al. 2022 (arXiv 2211.01095), algorithm 2; the form with
 * noise ("SDE") from its appendix.
 * @see diffusers DPMSolverMultistepScheduler
 */
export function dpmMultistep(config: SchedulerConfig, steps: number): Sampler {
  const fields = withDefaults(config, DEFAULTS);
  const schedule = noiseSchedule(fields, fields.rescale_betas_zero_snr ? "finite" : "no");
  const clipped = schedule.sigmas.reduce((n, s) => (-Math.log(s) < fields.lambda_min_clipped ? n + 1 : n), 0);
  const { timesteps, sigmas } = solverSchedule(fields, schedule, steps, {
    last: fields.num_train_timesteps - clipped,
    lu: fields.use_lu_lambdas === true,
    endsAtOwnSigma: false,
    rounds: fields.beta_schedule !== "squaredcos_cap_v2",
  });
  const levels = sigmas.map(solverLevel);
  return dpmMultistepOver({ timesteps, sigmas, levels, type: fields.prediction_type, initNoiseSigma: 1 }, config);
}

/**
 * The same over given levels.
 * @param config for the method; what it says of the levels is not read
 * @throws UserError scheduler/config
 */
export function dpmMultistepOver(ladder: SolverLadder, config: SchedulerConfig): Sampler {
  const { timesteps, sigmas, levels, type, scale, initNoiseSigma } = ladder;
  const fields = withDefaults(config, DEFAULTS);
  const { solver_order: order, algorithm_type: algorithm } = fields;
  if (algorithm !== "dpmsolver++" && algorithm !== "sde-dpmsolver++" && algorithm !== "deis")
    throw new UserError(
      "scheduler/config",
      `The scheduler's config is not supported: algorithm_type "${algorithm}".`,
      "Use dpmsolver++ or sde-dpmsolver++, for example --scheduler dpmpp_2m.",
    );
  const stochastic = algorithm === "sde-dpmsolver++";
  const count = timesteps.length;
  const starts = everyPlace(timesteps);

  function orderAt(index: number, known: number): number {
    const few = fields.lower_order_final && count < FEW_STEPS;
    const final = index === count - 1 && (fields.euler_at_final || few || fields.final_sigmas_type === "zero");
    if (final) return 1;
    return Math.min(order, known, index === count - 2 && few ? 2 : 3);
  }

  function* sample(x: Latents, { noise, from }: SampleOptions): Sampling {
    let originals: Latents[] = [];
    for (const index of placesFrom({ timesteps, starts }, from)) {
      const { output, latents } = yield* ask({ type, timesteps, levels, ...(scale && { scale }) }, x, index);
      originals = [...originals.slice(1 - order), toOriginal(type, output, latents, levels[index]!)].slice(-order);
      const fresh = stochastic ? noise.randn(x.length) : undefined;
      const known = levels.slice(0, index + 1).toReversed();
      x = step(
        latents,
        originals.toReversed(),
        levels[index + 1]!,
        known,
        orderAt(index, originals.length),
        fields.solver_type === "heun",
        fresh,
      );
    }
    return x;
  }
  return { timesteps, sigmas, starts, initNoiseSigma, addNoise: addNoiseAt(levels.slice(0, count)), sample };
}

/**
 * One step to level `to`.
 * @param originals the last predictions of the original picture, the newest first
 * @param known their levels, the newest first
 */
function step(
  x: Latents,
  originals: readonly Latents[],
  to: SolverLevel,
  known: readonly SolverLevel[],
  order: number,
  heun: boolean,
  noise: Latents | undefined,
): Latents {
  const [from, before, earlier] = known as [SolverLevel, SolverLevel, SolverLevel];
  const [m0, m1, m2] = originals as [Latents, Latents, Latents];
  const h = to.lambda - from.lambda;
  const k = noise === undefined ? 1 : 2; // with noise, the exponents double
  const shrink = Math.exp(-k * h);
  const grown = 1 - shrink;
  const carried = (to.sigma / from.sigma) * (noise === undefined ? 1 : Math.exp(-h));
  const terms: [number, Latents][] = [[carried, x]];
  if (noise !== undefined) terms.push([to.sigma * Math.sqrt(1 - Math.exp(-2 * h)), noise]);
  terms.push([to.alpha * grown, m0]);
  if (order === 1) return combine(...terms);

  const r0 = (from.lambda - before.lambda) / h;
  const linear = to.alpha * (1 - grown / (k * h));
  if (order === 2) {
    const weight = (heun ? linear : 0.5 * to.alpha * grown) / r0;
    return combine(...terms, [weight, m0], [-weight, m1]);
  }
  const r1 = (before.lambda - earlier.lambda) / h;
  const quadratic = to.alpha * ((grown - k * h) / (k * h) ** 2 + (noise === undefined ? 0.5 : -0.5));
  // D1 and D2 of the third-order update, as weights of the three answers
  const d10: [number, number, number] = [1 / r0, -1 / r0, 0];
  const d11: [number, number, number] = [0, 1 / r1, -1 / r1];
  const weights = d10.map((a, i) => {
    const bend = a - d11[i]!;
    return linear * (a + (r0 / (r0 + r1)) * bend) + (quadratic * bend) / (r0 + r1);
  });
  return combine(...terms, [weights[0]!, m0], [weights[1]!, m1], [weights[2]!, m2]);
}
