import type { SchedulerFields } from "./config.ts";
import type { Ladder } from "./ladder.ts";
import { BETA_DEFAULTS, type NoiseSchedule } from "./noise-schedule.ts";
import { kept, type Level, shared } from "./prediction.ts";
import { interpolate, logarithms, respaced, SIGMA_DEFAULTS, type SigmaFields, timestepOf } from "./sigmas.ts";
import { linspace, roundHalfEven, solverTimesteps } from "./spacing.ts";

/** Defaults that DPM-Solver++ and UniPC share. */
export const SOLVER_DEFAULTS = {
  ...BETA_DEFAULTS,
  ...SIGMA_DEFAULTS,
  solver_order: 2,
  prediction_type: "epsilon",
  lower_order_final: true,
  timestep_spacing: "linspace",
  steps_offset: 0,
  final_sigmas_type: "zero",
  rescale_betas_zero_snr: false,
} satisfies Partial<SchedulerFields>;

export type SolverFields = SigmaFields &
  Pick<SchedulerFields, "timestep_spacing" | "num_train_timesteps" | "steps_offset" | "final_sigmas_type" | "beta_schedule">;

export interface SolverSchedule {
  readonly timesteps: readonly number[]; // whole
  readonly sigmas: readonly number[]; // one more than timesteps
}

/** Differences between the two solvers of diffusers. */
export interface SolverQuirks {
  /** Largest timestep that is sampled. */
  readonly last: number;
  /** Whether levels are evenly spaced in the logarithm of the signal-to-noise ratio: Lu et al. 2022 (arXiv 2206.00927). */
  readonly lu: boolean;
  /** Whether runs with respaced sigmas that do not end at 0 end at their own smallest sigma instead of the training schedule's. */
  readonly endsAtOwnSigma: boolean;
  /** Whether Karras and Lu timesteps are rounded; DPM-Solver does not round them for cosine schedules. */
  readonly rounds: boolean;
}

export function solverSchedule(
  fields: SolverFields,
  { sigmas: table }: NoiseSchedule,
  steps: number,
  quirks: SolverQuirks,
): SolverSchedule {
  const { num_train_timesteps: trainSteps, steps_offset: offset } = fields;
  const [min, max] = [table[0]!, table.at(-1)!];
  const logs = logarithms(table);
  const spaced =
    quirks.lu && !fields.use_karras_sigmas
      ? linspace(logs.at(-1)!, logs[0]!, steps).map(Math.exp)
      : respaced(fields, max, min, steps);
  const ending = (own: number): number => (fields.final_sigmas_type === "zero" ? 0 : own);
  if (spaced === undefined) {
    const timesteps = solverTimesteps(fields.timestep_spacing, { trainSteps, steps, offset, last: quirks.last });
    return { timesteps, sigmas: [...timesteps.map((t) => interpolate(t, table)), ending(min)].map(Math.fround) };
  }
  const whole = quirks.rounds && (fields.use_karras_sigmas || quirks.lu) ? roundHalfEven : Math.trunc;
  return {
    timesteps: spaced.map((s) => whole(timestepOf(s, logs))),
    sigmas: [...spaced, ending(quirks.endsAtOwnSigma ? spaced.at(-1)! : min)].map(Math.fround),
  };
}

/** A level, and half the logarithm of its signal-to-noise ratio (λ of DPM-Solver). */
export interface SolverLevel extends Level {
  readonly lambda: number;
}
const withLambda = (level: Level): SolverLevel => ({ ...level, lambda: Math.log(level.alpha) - Math.log(level.sigma) });
export const solverLevel = (sigma: number): SolverLevel => withLambda(shared(sigma));

/** Levels of a run, and how the model is asked at each of them. */
export interface SolverLadder extends Omit<Ladder, "scale"> {
  /** One for each sigma. */
  readonly levels: readonly SolverLevel[];
  readonly scale?: Ladder["scale"];
}
/** Levels with an unscaled signal, over given sigmas. */
export const solverLadder = (ladder: Ladder): SolverLadder => ({
  ...ladder,
  levels: ladder.sigmas.map((sigma) => withLambda(kept(sigma))),
});
