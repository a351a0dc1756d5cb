import { bootstrap, type Figure } from "../evaluate/statistics/bootstrap.ts";
import { type Column, column, everyone, meanOver } from "../evaluate/statistics/column.ts";
import { identityLabels, type ScenePart, sceneLabels } from "../minifaces/index.ts";
import type { Verdict } from "./judge-session.ts";
import type { TestCase, TestSet } from "./test-set.ts";

export const TEXT_KINDS = ["background", "clothesColour", "accessory", "style", "expression", "framing"] as const;
export type TextKind = (typeof TEXT_KINDS)[number];
export const IDENTITY_KINDS = ["hairStyle", "eyeColour", "hairColour"] as const;
export type IdentityKind = (typeof IDENTITY_KINDS)[number];

/** A figure with `none`: its value without the adapter, for the same prompts and seeds. */
export type AgainstNone = Figure & { readonly none: number };

/** Measurements of an adapter. */
export interface AdapterFigures extends Readonly<Record<IdentityKind, Figure>> {
  /** Likeness as a share of the way from no ID (0) to other real pictures of the same person (1). */
  readonly faceSimShare: Figure;
  /** Mean cosine to the person's album. */
  readonly faceSim: AgainstNone;
  /** Share of pictures whose nearest person among 64 is the right one. */
  readonly rank1: Figure;
  /** Text accuracy lost through the adapter, in points: mean over the kinds in `text`. */
  readonly textLoss: Figure;
  /** Share of properties in the prompts that are found in the picture. Kinds that no prompt mentions are left out. */
  readonly text: Readonly<Partial<Record<TextKind, AgainstNone>>>;
}

/** The judge's verdicts on the cases of a test set. */
export interface Verdicts {
  /** Real pictures of the same scenes. */
  readonly real: readonly Verdict[];
  /** Pictures generated without the adapter, and with it. */
  readonly none: readonly Verdict[];
  readonly ours: readonly Verdict[];
}

const CROWD = 64;

/** A number computed from people, given as indices that may repeat. */
type OfPeople = (chosen: ArrayLike<number>) => number;

/** A figure as a function of people, so that two can be compared on the same resamples. */
export interface Statistic {
  readonly ours: OfPeople;
  /** Value for real pictures; null if they have none. */
  readonly real: number | null;
}

type AgainstNoneStatistic = Statistic & { readonly none: number };

const SINGLE = ["faceSimShare", "rank1", "hairStyle", "eyeColour", "hairColour", "textAccuracy", "textLoss"] as const;
/** Single-valued figures; `textAccuracy` is the mean that `textLoss` is computed from. */
export type SingleFigure = (typeof SINGLE)[number];

/** All measurements as functions of people. */
export interface Statistics extends Readonly<Record<SingleFigure, Statistic>> {
  readonly faceSim: AgainstNoneStatistic;
  readonly text: Readonly<Partial<Record<TextKind, AgainstNoneStatistic>>>;
}

/** @param albums each person's mean embedding: the cosine to it, times its length, is the mean cosine to the person's pictures */
export function statistics({ persons, cases }: TestSet, albums: readonly Float32Array[], verdicts: Verdicts): Statistics {
  const people = persons.length;
  const measured = (of: readonly Verdict[], value: (verdict: Verdict, one: TestCase) => number | undefined): Column =>
    column(
      people,
      cases,
      ({ person }) => person,
      (one, i) => value(of[i]!, one),
    );
  const { real, none, ours } = verdicts;
  const all = everyone(people);

  const likeness = (of: readonly Verdict[]): Column =>
    measured(of, (verdict, { photo, person }) => (photo ? dot(verdict.embedding, albums[person]!) : undefined));
  const [sim, high, low] = [likeness(ours), likeness(real), likeness(none)];
  const share: OfPeople = (chosen) => {
    const zero = meanOver(low, chosen);
    return (meanOver(sim, chosen) - zero) / (meanOver(high, chosen) - zero);
  };
  const first = (of: readonly Verdict[]): Column =>
    measured(of, (verdict, { photo, person }) => (photo ? Number(isNearest(verdict, person, albums)) : undefined));
  const right = (of: readonly Verdict[], kind: IdentityKind): Column =>
    measured(of, ({ identity }, { photo, person }) =>
      photo ? Number(identity[kind] === identityLabels(persons[person]!)[kind]) : undefined,
    );
  const obeyed = (of: readonly Verdict[], kind: TextKind): Column =>
    measured(of, ({ scene }, one) => (asks(one, kind) ? Number(scene[kind] === sceneLabels(one.scene)[kind]) : undefined));

  const kinds = TEXT_KINDS.filter((kind) => cases.some((one) => asks(one, kind)));
  const texts = kinds.map((kind) => ({ kind, ours: obeyed(ours, kind), none: obeyed(none, kind), real: obeyed(real, kind) }));
  const accuracy = (of: "ours" | "none" | "real", chosen: ArrayLike<number>): number =>
    texts.reduce((sum, text) => sum + meanOver(text[of], chosen), 0) / texts.length;
  const plain = (mine: Column, theirs: Column): Statistic => ({
    ours: (chosen) => meanOver(mine, chosen),
    real: meanOver(theirs, all),
  });
  const attribute = (kind: IdentityKind): Statistic => plain(right(ours, kind), right(real, kind));
  return {
    faceSimShare: { ours: share, real: 1 },
    faceSim: { ...plain(sim, high), none: meanOver(low, all) },
    rank1: plain(first(ours), first(real)),
    hairStyle: attribute("hairStyle"),
    eyeColour: attribute("eyeColour"),
    hairColour: attribute("hairColour"),
    textAccuracy: { ours: (chosen) => accuracy("ours", chosen), real: accuracy("real", all) },
    textLoss: { ours: (chosen) => 100 * (accuracy("none", chosen) - accuracy("ours", chosen)), real: 0 },
    text: Object.fromEntries(
      texts.map((text) => [text.kind, { ...plain(text.ours, text.real), none: meanOver(text.none, all) }]),
    ),
  };
}

/** @param albums see {@link statistics} */
export function score(set: TestSet, albums: readonly Float32Array[], verdicts: Verdicts): AdapterFigures {
  const found = statistics(set, albums, verdicts);
  const figure = ({ ours, real }: Statistic): Figure => bootstrap(set.persons.length, ours, real);
  const againstNone = (one: AgainstNoneStatistic): AgainstNone => ({ ...figure(one), none: one.none });
  return {
    faceSimShare: figure(found.faceSimShare),
    faceSim: againstNone(found.faceSim),
    rank1: figure(found.rank1),
    hairStyle: figure(found.hairStyle),
    eyeColour: figure(found.eyeColour),
    hairColour: figure(found.hairColour),
    textLoss: figure(found.textLoss),
    text: Object.fromEntries(Object.entries(found.text).map(([kind, one]) => [kind, againstNone(one)])),
  };
}

/** A figure of some pictures, and its difference from the figure of others with the same people, prompts and seeds. */
export interface Compared {
  readonly value: number;
  readonly error: number;
  readonly difference: number;
  /** Standard error of the difference; each resample uses the same people for both. */
  readonly differenceError: number;
}

/** Compares two sets of figures. @param people their number, the same for both */
export function compareFigures(people: number, ours: Statistics, reference: Statistics): Record<SingleFigure, Compared> {
  const each = SINGLE.map((name) => {
    const [mine, theirs] = [ours[name].ours, reference[name].ours];
    const { value, error } = bootstrap(people, mine, null);
    const apart = bootstrap(people, (chosen) => mine(chosen) - theirs(chosen), null);
    return [name, { value, error, difference: apart.value, differenceError: apart.error }] as const;
  });
  return Object.fromEntries(each) as Record<SingleFigure, Compared>;
}

/** Whether the prompt asks for a property. A photo is the default, so it does not count as a style. */
const asks = ({ says, photo }: TestCase, kind: TextKind & ScenePart): boolean => says.has(kind) && !(kind === "style" && photo);

export const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, v, i) => sum + v * b[i]!, 0);

/** Whether the person is nearest among a crowd: the person and the following 63. */
function isNearest({ embedding }: Verdict, person: number, albums: readonly Float32Array[]): boolean {
  const own = dot(embedding, albums[person]!);
  const others = Math.min(CROWD, albums.length) - 1;
  for (let i = 1; i <= others; i++) if (dot(embedding, albums[(person + i) % albums.length]!) >= own) return false;
  return true;
}
