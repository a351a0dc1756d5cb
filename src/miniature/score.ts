import { identityLabels, type ScenePart, sceneLabels } from "../minifaces/index.ts";
import { bootstrap, type Column, column, everyone, type Figure, meanOver } from "./figures.ts";
import type { Verdict } from "./judge-session.ts";
import type { TestCase, TestSet } from "./test-set.ts";

export const TEXT_KINDS = ["background", "clothesColour", "accessory", "style", "expression", "framing"] as const;
export type TextKind = (typeof TEXT_KINDS)[number];
export const IDENTITY_KINDS = ["hairStyle", "eyeColour", "hairColour"] as const;
export type IdentityKind = (typeof IDENTITY_KINDS)[number];

/** `none`: the same of the model without the adapter, with the same prompts and seeds. */
export type AgainstNone = Figure & { readonly none: number };

/** What is measured of an adapter. */
export interface AdapterFigures extends Readonly<Record<IdentityKind, Figure>> {
  /** Likeness as a share of the way from no ID (0) to other real pictures of the same person (1). */
  readonly faceSimShare: Figure;
  /** Mean cosine to the person's album. */
  readonly faceSim: AgainstNone;
  /** How often the right person is nearest among 64. */
  readonly rank1: Figure;
  /** Points of text accuracy lost by the adapter: mean over the kinds in `text`. */
  readonly textLoss: Figure;
  /** Share of what the prompts say that is found in the picture. Kinds that no prompt mentions are left out. */
  readonly text: Readonly<Partial<Record<TextKind, AgainstNone>>>;
}

/** The judge's verdicts on the cases of a test set. */
export interface Verdicts {
  /** Real pictures of the same scenes. */
  readonly real: readonly Verdict[];
  /** Drawn without the adapter, and with it. */
  readonly none: readonly Verdict[];
  readonly ours: readonly Verdict[];
}

const CROWD = 64;

/** One number of a group of people, given as indices that may repeat. */
type OfPeople = (chosen: ArrayLike<number>) => number;

/** A figure before its error is known, so that the same people can be drawn for two that are compared. */
export interface Statistic {
  readonly ours: OfPeople;
  /** Of real pictures; null where they have no such value. */
  readonly real: number | null;
}

type AgainstNoneStatistic = Statistic & { readonly none: number };

const SINGLE = ["faceSimShare", "rank1", "hairStyle", "eyeColour", "hairColour", "textAccuracy", "textLoss"] as const;
/** Figures without parts; `textAccuracy` is the mean over the kinds of text that `textLoss` is told from. */
export type SingleFigure = (typeof SINGLE)[number];

/** What is measured, as functions of people. */
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

/** What was found of some pictures, and how far it is from what was found of others of the same people, prompts and seeds. */
export interface Compared {
  readonly value: number;
  readonly error: number;
  readonly difference: number;
  /** Standard error of the difference: in each resample both are of the same people. */
  readonly differenceError: number;
}

/** @param people how many both are of */
export function compareFigures(people: number, ours: Statistics, reference: Statistics): Record<SingleFigure, Compared> {
  const each = SINGLE.map((name) => {
    const [mine, theirs] = [ours[name].ours, reference[name].ours];
    const { value, error } = bootstrap(people, mine, null);
    const apart = bootstrap(people, (chosen) => mine(chosen) - theirs(chosen), null);
    return [name, { value, error, difference: apart.value, differenceError: apart.error }] as const;
  });
  return Object.fromEntries(each) as Record<SingleFigure, Compared>;
}

/** Whether the prompt asks for it. A photo is what is drawn when nothing is asked, so that it does not count as a style. */
const asks = ({ says, photo }: TestCase, kind: TextKind & ScenePart): boolean => says.has(kind) && !(kind === "style" && photo);

export const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, v, i) => sum + v * b[i]!, 0);

/** Whether no other of the crowd is nearer: the person and the 63 that follow. */
function isNearest({ embedding }: Verdict, person: number, albums: readonly Float32Array[]): boolean {
  const own = dot(embedding, albums[person]!);
  const others = Math.min(CROWD, albums.length) - 1;
  for (let i = 1; i <= others; i++) if (dot(embedding, albums[(person + i) % albums.length]!) >= own) return false;
  return true;
}
