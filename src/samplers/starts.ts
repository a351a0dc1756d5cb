import { UserError } from "../core/errors.ts";

/** The starts of a sampler that asks once a step: every place. */
export const everyPlace = (timesteps: readonly number[]): readonly number[] => [...timesteps.keys()];

/**
 * The places from one on.
 * @throws UserError sampler/from if no step begins there
 */
export function placesFrom(
  { timesteps, starts }: { readonly timesteps: readonly number[]; readonly starts: readonly number[] },
  from = 0,
): readonly number[] {
  if (!starts.includes(from))
    throw new UserError(
      "sampler/from",
      `No step of this run begins at evaluation ${from}: it has ${timesteps.length}, counted from 0.`,
      `Begin at one of ${starts.join(", ")}.`,
    );
  return [...timesteps.keys()].slice(from);
}

/**
 * Where a run begins that changes a given picture: the last `strength` of its steps are taken. So it is for distilled models as well in
 * SDXL's pipeline; what LCMScheduler.set_timesteps does with a `strength` of its own (all steps within the last share of the schedule)
 * is for who gives the timesteps.
 * @param strength above 0, and at most 1, which takes all steps
 * @param steps how many were asked for
 * @param starts of the sampler
 * @returns a place in the timesteps
 * @throws UserError strength/invalid
 * @see diffusers 0.35.2 StableDiffusionXLImg2ImgPipeline.get_timesteps
 */
export function startFor(strength: number, steps: number, starts: readonly number[]): number {
  const taken = Math.trunc(steps * strength);
  if (!(strength > 0 && strength <= 1))
    throw new UserError(
      "strength/invalid",
      `The strength is ${strength}.`,
      "Take a number above 0, and at most 1: 0.6 is usual.",
    );
  if (taken === 0)
    throw new UserError(
      "strength/invalid",
      `A strength of ${strength} leaves none of ${steps} steps.`,
      `Take at least ${1 / steps}, or more steps.`,
    );
  return starts[steps - taken]!;
}
