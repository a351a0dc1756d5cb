import { UserError } from "../core/errors.ts";
import type { SchedulerFields } from "./config.ts";
import { BETA_DEFAULTS } from "./noise-schedule.ts";

/** Defaults that the samplers of distilled models share. */
export const DISTILLED_DEFAULTS = {
  ...BETA_DEFAULTS,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  original_inference_steps: 50,
  clip_sample: false,
  clip_sample_range: 1,
  set_alpha_to_one: true,
  prediction_type: "epsilon",
  timestep_scaling: 10,
  rescale_betas_zero_snr: false,
} satisfies Partial<SchedulerFields>;

/**
 * Timesteps of a distilled model: spaced as evenly as possible among those that it was distilled on.
 * @throws UserError steps/invalid if there are fewer of those
 */
export function distilledTimesteps(trainSteps: number, originalSteps: number, steps: number): number[] {
  if (steps > originalSteps)
    throw new UserError(
      "steps/invalid",
      `A model distilled on ${originalSteps} steps cannot be sampled in ${steps}.`,
      `Take at most ${originalSteps} steps: 4 to 8 are usual.`,
    );
  const stride = Math.floor(trainSteps / originalSteps);
  const origin = Array.from({ length: originalSteps }, (_, i) => (originalSteps - i) * stride - 1);
  return Array.from({ length: steps }, (_, i) => origin[Math.floor((i * originalSteps) / steps)]!);
}
