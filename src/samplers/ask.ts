import { type Level, type OutputKind, toOriginal } from "./prediction.ts";
import type { Answer, Latents, Query, Sampling } from "./sampler.ts";

/** Data from which a sampler makes its queries. */
export interface Asked {
  readonly type: OutputKind;
  readonly timesteps: readonly number[];
  /** Noise levels: at least one for each timestep. */
  readonly levels: readonly Level[];
  /** Scales latents as the model expects them; the identity when absent. */
  readonly scale?: (latents: Latents, index: number) => Latents;
}

export interface Answered {
  readonly output: Latents;
  /** Latents that the output is for: those of the query, or those that replaced them. */
  readonly latents: Latents;
}

/**
 * Queries the model about latents at an index of the timesteps; if they are replaced, queries again, until there is an output.
 * @throws TypeError if the replacing latents have another size
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
 * Replaces the latents of the last query.
 * @returns the same query about them
 * @throws TypeError if they have another size, or there is no query
 */
export function askAbout(sampling: Sampling, latents: Latents): Query {
  const { done, value } = sampling.next({ latents });
  if (done) throw new TypeError("the run is over");
  return value;
}
