import { type Level, type PredictionType, toOriginal } from "./prediction.ts";
import type { Answer, Latents, Query, Sampling } from "./sampler.ts";

/** What a sampler's queries are made of. */
export interface Asked {
  readonly type: PredictionType;
  readonly timesteps: readonly number[];
  /** One for each timestep, or more. */
  readonly levels: readonly Level[];
  /** What the model sees of latents: themselves when absent. */
  readonly scale?: (latents: Latents, index: number) => Latents;
}

export interface Answered {
  readonly output: Latents;
  /** What the output was given to: the latents of the query, or those that were taken in their place. */
  readonly latents: Latents;
}

/**
 * Asks about latents at a place in the timesteps, and again about those that are put in their place, until there is an output.
 * @throws TypeError if the latents put in their place are of another size
 */
export function* ask(
  { type, timesteps, levels, scale }: Asked,
  latents: Latents,
  index: number,
): Generator<Query, Answered, Answer> {
  for (;;) {
    const shown = latents;
    const answer = yield {
      sample: scale === undefined ? shown : scale(shown, index),
      timestep: timesteps[index]!,
      index,
      latents: shown,
      original: (output) => toOriginal(type, output, shown, levels[index]!),
    };
    if (!("latents" in answer)) return { output: answer, latents: shown };
    if (answer.latents.length !== shown.length)
      throw new TypeError(`${answer.latents.length} latents in place of ${shown.length}`);
    latents = answer.latents;
  }
}

/**
 * Puts other latents in place of those of the last query.
 * @returns the same query about them
 * @throws TypeError if they are of another size, or there is no query
 */
export function askAbout(sampling: Sampling, latents: Latents): Query {
  const { done, value } = sampling.next({ latents });
  if (done) throw new TypeError("the run is over");
  return value;
}
