import { expect, test } from "vitest";
import { seededRandom } from "../core/random/seeded-random.ts";
import { identityLabels, sceneLabels } from "../minifaces/index.ts";
import type { Verdict } from "./judge-session.ts";
import { compareFigures, statistics } from "./score.ts";
import { testSet } from "./test-set.ts";

const PEOPLE = 20;
const set = testSet({ seed: 2, people: PEOPLE, pictures: 2 });
const albums = set.persons.map(() => Float32Array.of(1, 0));
const random = seededRandom(5);
const real = set.cases.map(({ person, scene }): Verdict => {
  const identity = { ...identityLabels(set.persons[person]!) } as Verdict["identity"];
  return { embedding: Float32Array.of(1, 0), identity, scene: { ...sceneLabels(scene) } as Verdict["scene"] };
});
const none = real.map((verdict) => ({ ...verdict, embedding: Float32Array.of(0, 1) }));
const drawn = real.map((verdict) => ({ ...verdict, embedding: Float32Array.of(0.4 + 0.5 * random.uniform(), 0) }));
const of = (ours: readonly Verdict[]) => statistics(set, albums, { real, none, ours });

test("identical pictures have no difference, and no error of it", () => {
  const { faceSimShare, textLoss } = compareFigures(PEOPLE, of(drawn), of(drawn));
  expect(faceSimShare).toMatchObject({ difference: 0, differenceError: 0 });
  expect(faceSimShare.error).toBeGreaterThan(0.01);
  expect(textLoss).toEqual({ value: 0, error: 0, difference: 0, differenceError: 0 });
});

test("a difference has the error of paired values, not of independent people", () => {
  const weaker = drawn.map((verdict) => ({ ...verdict, embedding: verdict.embedding.map((v) => 0.9 * v) }));
  const { faceSimShare } = compareFigures(PEOPLE, of(weaker), of(drawn));
  const { faceSimShare: expected } = compareFigures(PEOPLE, of(drawn), of(drawn));
  expect(faceSimShare.difference).toBeCloseTo(-0.1 * expected.value, 5);
  expect(faceSimShare.differenceError).toBeCloseTo(0.1 * expected.error, 5);
});

test("lost text is the drop in accuracy, in points", () => {
  const blind = drawn.map((verdict) => ({ ...verdict, scene: { ...verdict.scene, background: -1 } }));
  const { textAccuracy, textLoss } = compareFigures(PEOPLE, of(blind), of(drawn));
  expect(textAccuracy.difference).toBeLessThan(-0.1); // one of at most six kinds
  expect(textLoss.difference).toBeCloseTo(-100 * textAccuracy.difference, 8);
});
