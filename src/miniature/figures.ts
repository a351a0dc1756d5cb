import { seededRandom } from "../core/random/seeded-random.ts";

/** A measured value, its standard error over people, and the value for real pictures. */
export interface Figure {
  readonly value: number;
  readonly error: number;
  /** Value for real pictures; null if they have none. */
  readonly real: number | null;
}

/** Sums of a measurement over each person's pictures, and the number of pictures measured. */
export interface Column {
  readonly sums: Float64Array;
  readonly counts: Float64Array;
}

const RESAMPLES = 500;
const SEED = 20231;

/** Sums a measurement of pictures by person. @param value returns undefined for a picture that has none */
export function column<T>(
  people: number,
  pictures: readonly T[],
  personOf: (picture: T, index: number) => number,
  value: (picture: T, index: number) => number | undefined,
): Column {
  const [sums, counts] = [new Float64Array(people), new Float64Array(people)];
  for (const [i, picture] of pictures.entries()) {
    const found = value(picture, i);
    if (found === undefined) continue;
    const person = personOf(picture, i);
    sums[person] = sums[person]! + found;
    counts[person] = counts[person]! + 1;
  }
  return { sums, counts };
}

/** Mean over all pictures of some people; NaN if there are none. */
export function meanOver({ sums, counts }: Column, people: ArrayLike<number>): number {
  let [sum, count] = [0, 0];
  for (let i = 0; i < people.length; i++) {
    sum += sums[people[i]!]!;
    count += counts[people[i]!]!;
  }
  return sum / count;
}

/**
 * Computes a statistic and its standard error by the bootstrap: people are drawn with replacement, so that all parts of a statistic, such as both
 * ends of a scale, vary together. Efron 1979 (Annals of Statistics 7), section 2. The same people are drawn at each call.
 * @param statistic a function of people, given as indices that may repeat
 * @param real value for real pictures
 */
export function bootstrap(people: number, statistic: (chosen: ArrayLike<number>) => number, real: number | null): Figure {
  const random = seededRandom(SEED, people);
  const values: number[] = [];
  for (let n = 0; n < RESAMPLES; n++) {
    const value = statistic(Int32Array.from({ length: people }, () => random.integer(people)));
    if (Number.isFinite(value)) values.push(value); // the people drawn may happen to have no picture of the kind
  }
  return { value: statistic(everyone(people)), error: sampleDeviation(values), real };
}

export const everyone = (people: number): Int32Array => Int32Array.from({ length: people }, (_, i) => i);

export const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Standard deviation of a sample. */
export function sampleDeviation(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, v) => sum + (v - middle) ** 2, 0) / Math.max(1, values.length - 1));
}
