import type { SchedulerFields } from "./config.ts";
import type { NoiseSchedule } from "./noise-schedule.ts";
import { interpolate, logarithms, respaced, type SigmaFields, timestepOf } from "./sigmas.ts";
import { linspace, type SpacingOptions, spacedTimesteps } from "./spacing.ts";

export type EulerFields = SigmaFields & Pick<SchedulerFields, "timestep_spacing" | "num_train_timesteps" | "steps_offset">;

/** Timesteps and noise levels, without the last, for the samplers of Karras et al. 2022, as in diffusers. */
export function eulerSchedule(
  fields: EulerFields,
  { sigmas: table }: NoiseSchedule,
  steps: number,
  interpolation: SchedulerFields["interpolation_type"] = "linear",
): { readonly timesteps: readonly number[]; readonly sigmas: readonly number[] } {
  const options: SpacingOptions = { trainSteps: fields.num_train_timesteps, steps, offset: fields.steps_offset, whole: false };
  const timesteps = spacedTimesteps(fields.timestep_spacing, options);
  const plain =
    interpolation === "linear"
      ? timesteps.map((t) => interpolate(t, table))
      : linspace(Math.log(table.at(-1)!), Math.log(table[0]!), steps + 1).map(Math.exp);
  const spaced = respaced(fields, plain[0]!, plain.at(-1)!, steps);
  if (spaced === undefined) return { timesteps, sigmas: plain };
  const logs = logarithms(table);
  return { timesteps: spaced.map((s) => Math.fround(timestepOf(s, logs))), sigmas: spaced };
}

/** Factor of unit noise at the beginning: the largest noise level where the run starts at the end of the schedule. */
export function eulerInitSigma(spacing: SchedulerFields["timestep_spacing"], sigmas: readonly number[]): number {
  const max = Math.max(...sigmas);
  return spacing === "leading" ? Math.sqrt(max * max + 1) : max;
}

/** Latents as the model expects them: with a variance of 1. */
export const toUnitVariance = (latents: Float32Array, sigma: number): Float32Array => {
  const factor = 1 / Math.sqrt(sigma * sigma + 1);
  return latents.map((v) => v * factor);
};
