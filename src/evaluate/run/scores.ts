import { UserError } from "../../core/errors.ts";
import { type Estimate, estimate, type IntervalOptions } from "../statistics/interval.ts";
import { type PairedDifference, pairedDifference, withHolm } from "../statistics/paired.ts";
import { type Observation, type PersonTable, personTable } from "../statistics/person-table.ts";
import type { LeftOut, ListedPicture } from "./picture-list.node.ts";

/** Measures of single pictures (face diversity: of pairs), by name; in the order of a report. */
export const MEASURES = {
  clipT: { title: "CLIP-T", better: "higher", digits: 2 },
  clipI: { title: "CLIP-I", better: "higher", digits: 2 },
  dino: { title: "DINO", better: "higher", digits: 2 },
  faceSim: { title: "Face Sim, of faces found", better: "higher", digits: 4 },
  faceSimAll: { title: "Face Sim, none found as 0", better: "higher", digits: 4 },
  rank1: { title: "rank 1", better: "higher", digits: 3 },
  faceDiversity: { title: "Face Div", better: "higher", digits: 4 },
} as const;
export type MeasureName = keyof typeof MEASURES;
export const MEASURE_NAMES = Object.keys(MEASURES) as MeasureName[];

/** Name of the file of a run's scores, in its folder. */
export const SCORES_FILE = "scores.json";

/** A value of a picture or a pair of pictures. */
export interface MeasuredValue {
  readonly person: string;
  readonly prompt: string;
  readonly value: number | null;
}

/** Figures of a whole set of pictures against a reference. */
export interface SetFigures {
  readonly pictures: number;
  readonly reference: number;
  readonly fid?: number;
  readonly kid?: { readonly value: number; readonly deviation: number };
  readonly cmmd?: number;
}

/** What `evaluate score` writes: scores.json. */
export interface Scores {
  readonly version: 1;
  readonly pictures: readonly (ListedPicture & {
    readonly hash: string;
    readonly values: Readonly<Partial<Record<MeasureName, number | null>>>;
  })[];
  /** Values of pairs, which belong to no single picture. */
  readonly pairs: Readonly<Partial<Record<MeasureName, readonly MeasuredValue[]>>>;
  readonly figures: Readonly<Partial<Record<MeasureName, Estimate>>>;
  readonly sets?: SetFigures;
  readonly quality?: { readonly withoutFace: number; readonly severalFaces: number; readonly smallFace: number };
  /** Pictures that do not count, people without other real pictures, measures whose network is missing. */
  readonly leftOut: readonly LeftOut[];
  /** Hash of each network's weights. */
  readonly networks: Readonly<Record<string, string>>;
}

/** Values of a measure in a run. */
export function valuesOf({ pictures, pairs }: Pick<Scores, "pictures" | "pairs">, name: MeasureName): MeasuredValue[] {
  const ofPairs = pairs[name];
  if (ofPairs !== undefined) return [...ofPairs];
  return pictures.flatMap(({ person, prompt, values }) => {
    const value = values[name];
    return value === undefined ? [] : [{ person, prompt, value }];
  });
}

/** A table of values for the statistics. @param names people and prompts, whose order is that of the table */
function tableOf(
  values: readonly MeasuredValue[],
  name: MeasureName,
  names: { readonly people: readonly string[]; readonly prompts: readonly string[] },
): PersonTable {
  const [person, prompt] = [names.people, names.prompts].map((list) => new Map(list.map((key, i) => [key, i])));
  const observations: Observation[] = values.map((v) => ({
    person: person!.get(v.person)!,
    prompt: prompt!.get(v.prompt)!,
    value: v.value,
  }));
  return personTable(names.people.length, names.prompts.length, observations, {
    missing: name === "faceSimAll" ? "zero" : "left-out",
  });
}

const namesOf = (pictures: readonly ListedPicture[]) => ({
  people: [...new Set(pictures.map(({ person }) => person))].sort(),
  prompts: [...new Set(pictures.map(({ prompt }) => prompt))].sort(),
});

/** Estimate of each measure that has values. */
export function figuresOf(
  scores: Pick<Scores, "pictures" | "pairs">,
  options: IntervalOptions = {},
): Partial<Record<MeasureName, Estimate>> {
  const names = namesOf(scores.pictures);
  return Object.fromEntries(
    MEASURE_NAMES.flatMap((name) => {
      const values = valuesOf(scores, name);
      const known = name === "faceSimAll" ? values : values.filter(({ value }) => value !== null);
      return known.length === 0 ? [] : [[name, estimate(tableOf(values, name, names), options)]];
    }),
  );
}

export type Comparison = Partial<Record<MeasureName, PairedDifference & { readonly pHolm: number }>>;

/**
 * Compares two runs over the same people, prompts and seeds, person by person: second less first.
 * @throws UserError evaluate/other-plan, evaluate/other-networks, evaluate/nothing-shared
 */
export function compareScores(first: Scores, second: Scores, options: IntervalOptions = {}): Comparison {
  const keys = ({ pictures }: Scores): Set<string> => new Set(pictures.map((p) => JSON.stringify([p.person, p.prompt, p.seed])));
  const [a, b] = [keys(first), keys(second)];
  const alone = [...a].filter((key) => !b.has(key)).concat([...b].filter((key) => !a.has(key)));
  if (alone.length > 0)
    throw new UserError(
      "evaluate/other-plan",
      `The runs are not of the same people, prompts and seeds: ${alone.length} pictures are in one of them only, such as ${alone[0]}.`,
      "Draw both with the same plan, or list only what both have.",
    );
  const differing = Object.keys(first.networks).filter(
    (name) => second.networks[name] !== undefined && second.networks[name] !== first.networks[name],
  );
  if (differing.length > 0)
    throw new UserError(
      "evaluate/other-networks",
      `The runs were measured with different networks: ${differing.join(", ")}.`,
      "Score both with the same files.",
    );
  const names = namesOf(first.pictures);
  const shared = MEASURE_NAMES.filter((name) => first.figures[name] !== undefined && second.figures[name] !== undefined);
  if (shared.length === 0)
    throw new UserError("evaluate/nothing-shared", "The runs have no measure in common.", "Score both with the same networks.");
  const differences = shared.map((name) => {
    const [before, after] = [first, second].map((run) => tableOf(valuesOf(run, name), name, names));
    return [name, pairedDifference(before!, after!, options)] as const;
  });
  return withHolm(Object.fromEntries(differences) as Record<MeasureName, PairedDifference>);
}
