import { everyone } from "./column.ts";

/** A measured picture. */
export interface Observation {
  /** Index of the person, and of the prompt. */
  readonly person: number;
  readonly prompt: number;
  /** Null where there is nothing to measure, as in a picture without a face. */
  readonly value: number | null;
}

/** Sums of a measure over the pictures of each person and prompt; person p and prompt q are at p · prompts + q. */
export interface PersonTable {
  readonly people: number;
  readonly prompts: number;
  readonly sums: Float64Array;
  readonly counts: Float64Array;
  /** Number of pictures without a value, of each person. */
  readonly missing: Float64Array;
}

export interface TableOptions {
  /** Whether a picture without a value is left out of the means, or counts as 0. It is counted in `missing` either way. */
  readonly missing?: "left-out" | "zero";
}

/**
 * Sums observations by person and prompt.
 * @throws RangeError if a value is neither null nor a finite number
 */
export function personTable(
  people: number,
  prompts: number,
  observations: Iterable<Observation>,
  { missing: treat = "left-out" }: TableOptions = {},
): PersonTable {
  const [sums, counts] = [new Float64Array(people * prompts), new Float64Array(people * prompts)];
  const missing = new Float64Array(people);
  for (const { person, prompt, value } of observations) {
    if (value !== null && !Number.isFinite(value))
      throw new RangeError(`person ${person}, prompt ${prompt}: ${value} is no measured value`);
    if (value === null) missing[person] = missing[person]! + 1;
    if (value === null && treat === "left-out") continue;
    const at = person * prompts + prompt;
    sums[at] = sums[at]! + (value ?? 0);
    counts[at] = counts[at]! + 1;
  }
  return { people, prompts, sums, counts, missing };
}

/**
 * Mean of each person over its pictures: [people], NaN for a person without a value.
 * @param chosen prompts, which may repeat; all of them unless given
 */
export function personMeans(table: PersonTable, chosen: ArrayLike<number> = everyone(table.prompts)): Float64Array {
  const { people, prompts, sums, counts } = table;
  return Float64Array.from({ length: people }, (_, person) => {
    let [sum, count] = [0, 0];
    for (let i = 0; i < chosen.length; i++) {
      const at = person * prompts + chosen[i]!;
      sum += sums[at]!;
      count += counts[at]!;
    }
    return sum / count;
  });
}

/** Mean of people's values; a person without a value (NaN) is left out. NaN if nobody has one. */
export function meanOfPeople(values: ArrayLike<number>, chosen: ArrayLike<number> = everyone(values.length)): number {
  let [sum, count] = [0, 0];
  for (let i = 0; i < chosen.length; i++) {
    const value = values[chosen[i]!]!;
    if (Number.isNaN(value)) continue;
    sum += value;
    count++;
  }
  return sum / count;
}
