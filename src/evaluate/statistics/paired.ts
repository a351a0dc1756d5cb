import { holm } from "./holm.ts";
import { drawnMeans, type Estimate, type IntervalOptions, intervalOf } from "./interval.ts";
import { sampleDeviation } from "./moments.ts";
import { meanOfPeople, type PersonTable, personMeans } from "./person-table.ts";
import { signExchange } from "./sign-exchange.ts";
import { wilcoxon } from "./wilcoxon.ts";

/** How a measure differs between two runs over the same people, prompts and seeds. */
export interface PairedDifference extends Pick<Estimate, "value" | "low" | "high" | "error" | "people"> {
  /** Probability of such a difference or a larger one by chance: by the exchange of signs, and by Wilcoxon's ranks. */
  readonly p: number;
  readonly exact: boolean;
  readonly wilcoxon: number;
  /** The smallest difference that so many people could have shown; NaN for one person. */
  readonly smallest: number;
  /** Of each person, second run less first; NaN where a run has no value. */
  readonly ofPeople: Float64Array;
}

/** 1.96 + 0.84: found at a level of 5 %, two sides, in 80 % of repetitions. Cohen 1988, "Statistical Power Analysis", section 2.4. */
const REACH = 2.8;

/** Smallest mean difference that a set of people could have shown. @param differences one a person, at least two */
export const smallestDifference = (differences: readonly number[]): number =>
  differences.length < 2 ? Number.NaN : (REACH * sampleDeviation(differences)) / Math.sqrt(differences.length);

/**
 * Compares two runs person by person: what people differ in does not count.
 * @throws RangeError if the tables are of other numbers of people or prompts
 */
export function pairedDifference(first: PersonTable, second: PersonTable, options: IntervalOptions = {}): PairedDifference {
  if (first.people !== second.people || first.prompts !== second.prompts)
    throw new RangeError(`${first.people} x ${first.prompts} people and prompts against ${second.people} x ${second.prompts}`);
  const [before, after] = [personMeans(first), personMeans(second)];
  const ofPeople = after.map((value, person) => value - before[person]!);
  const known = [...ofPeople].filter((value) => !Number.isNaN(value));
  const drawn = drawnMeans([first, second], ([a, b]) => b! - a!, options);
  return {
    value: meanOfPeople(ofPeople),
    ...intervalOf(drawn, known.length, options.level),
    people: known.length,
    ...signExchange(known, options.seed),
    wilcoxon: wilcoxon(known),
    smallest: smallestDifference(known),
    ofPeople,
  };
}

/** Paired differences of several measures, with `p` adjusted for their number. */
export function withHolm<Name extends string>(
  differences: Readonly<Record<Name, PairedDifference>>,
): Record<Name, PairedDifference & { readonly pHolm: number }> {
  const names = Object.keys(differences) as Name[];
  const adjusted = holm(names.map((name) => differences[name].p));
  return Object.fromEntries(names.map((name, i) => [name, { ...differences[name], pHolm: adjusted[i]! }])) as never;
}
