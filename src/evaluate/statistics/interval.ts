import { drawsOf, resampled } from "./bootstrap.ts";
import { normalBelow, studentQuantile } from "./distributions.ts";
import { quantile, sampleDeviation } from "./moments.ts";
import { meanOfPeople, type PersonTable, personMeans } from "./person-table.ts";

/** A mean over people and how sure it is. */
export interface Estimate {
  /** Mean of people's means. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** Standard error over people. */
  readonly error: number;
  /** Number of people that have a value, and of pictures that have none. */
  readonly people: number;
  readonly missing: number;
}

export interface IntervalOptions {
  /** Number of draws; 10,000 unless given. */
  readonly draws?: number;
  /** Share of repetitions in which the interval should hold; 0.95 unless given. */
  readonly level?: number;
  /** Whether prompts are drawn too, as a sample of the prompts that there could be; otherwise they are fixed. */
  readonly promptsAreRandom?: boolean;
  readonly seed?: number;
}

/** An interval of equal tails from drawn values. */
export function percentileInterval(values: readonly number[], level = 0.95): readonly [low: number, high: number] {
  const sorted = Float64Array.from(values).sort();
  return [quantile(sorted, (1 - level) / 2), quantile(sorted, (1 + level) / 2)];
}

/**
 * Level at which percentiles are taken, so that an interval from few people holds as often as it should: bare percentiles are too narrow by
 * sqrt((n - 1) / n) and take a normal tail for Student's. Hesterberg 2015 (The American Statistician 69), section 5.2, "expanded percentiles".
 */
export function expandedLevel(level: number, people: number): number {
  if (people < 2) return 1;
  const reach = Math.sqrt(people / (people - 1)) * studentQuantile(level, people - 1);
  return 1 - 2 * normalBelow(-reach);
}

/**
 * Mean of people's means with an interval by the bootstrap over people. 4,000 pictures of 25 people are not 4,000 samples: pictures of one person
 * resemble each other, so the person is the unit.
 */
export function estimate(table: PersonTable, options: IntervalOptions = {}): Estimate {
  const means = personMeans(table);
  const counted = means.filter((value) => !Number.isNaN(value)).length;
  const missing = table.missing.reduce((a, b) => a + b, 0);
  const drawn = drawnMeans([table], ([own]) => own!, options);
  return { value: meanOfPeople(means), ...intervalOf(drawn, counted, options.level), people: counted, missing };
}

/** Interval and standard error from drawn values. */
export function intervalOf(drawn: readonly number[], people: number, level = 0.95): Pick<Estimate, "low" | "high" | "error"> {
  const [low, high] = percentileInterval(drawn, expandedLevel(level, people));
  return { low, high, error: sampleDeviation(drawn) };
}

/**
 * Means over drawn people (and prompts) of a number that each person has.
 * @param tables of the same people and prompts
 * @param ofPerson a person's number from its means in the tables
 */
export function drawnMeans(
  tables: readonly PersonTable[],
  ofPerson: (means: readonly number[]) => number,
  { draws = 10_000, promptsAreRandom = false, seed = 0 }: IntervalOptions = {},
): number[] {
  const { people, prompts } = tables[0]!;
  const values = (chosen?: ArrayLike<number>): Float64Array => {
    const means = tables.map((table) => personMeans(table, chosen));
    return Float64Array.from({ length: people }, (_, person) => ofPerson(means.map((own) => own[person]!)));
  };
  const drawnPeople = drawsOf(people, draws, seed, people);
  if (!promptsAreRandom) {
    const fixed = values();
    return resampled(drawnPeople, (chosen) => meanOfPeople(fixed, chosen));
  }
  const drawnPrompts = drawsOf(prompts, draws, seed, people, prompts);
  return resampled(drawnPeople, (chosen) => meanOfPeople(values(drawnPrompts.next().value), chosen));
}
