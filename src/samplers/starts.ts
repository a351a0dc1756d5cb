import { UserError } from "../core/errors.ts";

/** The starts of a sampler with one evaluation for each step: every index. */
export const everyPlace = (timesteps: readonly number[]): readonly number[] => [...timesteps.keys()];

/**
 * Indices of the timesteps from a start on.
 * @throws UserError sampler/from if no step begins at `from`
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
 * Index at which a run that changes a given picture begins: it takes the last `strength` of the steps. SDXL's pipeline does the same for
 * distilled models; the `strength` of LCMScheduler.set_timesteps, which lays all steps within the last share of the schedule, is not used.
 * @param strength above 0, and at most 1, which takes all steps
 * @param steps requested number of steps
 * @param starts the sampler's starts
 * @returns an index in the timesteps
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
      `With a strength of ${strength}, none of ${steps} steps would be taken.`,
      `Take at least ${1 / steps}, or more steps.`,
    );
  return starts[steps - taken]!;
}
