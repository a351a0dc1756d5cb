import { seededRandom } from "../../core/random/seeded-random.ts";
import { everyone } from "./column.ts";
import { sampleDeviation } from "./moments.ts";

/** A measured value, its standard error over people, and the value for real pictures. */
export interface Figure {
  readonly value: number;
  readonly error: number;
  /** Value for real pictures; null if they have none. */
  readonly real: number | null;
}

const RESAMPLES = 500;
const SEED = 20231;

/** Draws of `count` of `count` with replacement: the bootstrap's. The same key gives the same draws. */
export function* drawsOf(count: number, times: number, ...key: readonly number[]): Generator<Int32Array> {
  const random = seededRandom(...key);
  for (let n = 0; n < times; n++) yield Int32Array.from({ length: count }, () => random.integer(count));
}

/** Values of a statistic for each draw of people, as indices that may repeat. A value that is not finite is left out: the people drawn may have no picture of the kind. */
export function resampled(draws: Iterable<ArrayLike<number>>, statistic: (chosen: ArrayLike<number>) => number): number[] {
  const values: number[] = [];
  for (const chosen of draws) {
    const value = statistic(chosen);
    if (Number.isFinite(value)) values.push(value);
  }
  return values;
}

/**
 * Computes a statistic and its standard error by the bootstrap: people are drawn with replacement, so that all parts of a statistic, such as both
 * ends of a scale, vary together. Efron 1979 (Annals of Statistics 7), section 2. The same people are drawn at each call.
 * @param statistic a function of people, given as indices that may repeat
 * @param real value for real pictures
 */
export function bootstrap(people: number, statistic: (chosen: ArrayLike<number>) => number, real: number | null): Figure {
  const values = resampled(drawsOf(people, RESAMPLES, SEED, people), statistic);
  return { value: statistic(everyone(people)), error: sampleDeviation(values), real };
}
