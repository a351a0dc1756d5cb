import { expect, test } from "vitest";
import { gaussians } from "../../core/random/gaussians.ts";
import { seededRandom } from "../../core/random/seeded-random.ts";
import { bootstrap } from "./bootstrap.ts";
import { column, meanOver } from "./column.ts";
import { sampleDeviation } from "./moments.ts";

const PEOPLE = 200;
const noise = gaussians(seededRandom(5), PEOPLE);

test("the standard error of a mean over independent people has its textbook value", () => {
  const one = column(
    PEOPLE,
    [...noise],
    (v) => noise.indexOf(v),
    (v) => v,
  );
  const { value, error } = bootstrap(PEOPLE, (chosen) => meanOver(one, chosen), null);
  expect(value).toBeCloseTo(noise.reduce((a, b) => a + b, 0) / PEOPLE, 10);
  expect(error / (sampleDeviation([...noise]) / Math.sqrt(PEOPLE))).toBeCloseTo(1, 0.9);
});

test("pictures of one person do not count as independent", () => {
  const pictures = Array.from({ length: PEOPLE * 4 }, (_, i) => Math.floor(i / 4));
  const four = column(
    PEOPLE,
    pictures,
    (person) => person,
    (person) => noise[person],
  );
  const { error } = bootstrap(PEOPLE, (chosen) => meanOver(four, chosen), null);
  expect(error / (sampleDeviation([...noise]) / Math.sqrt(PEOPLE))).toBeGreaterThan(0.9);
});

test("a quantity that varies with a figure reduces the error of their difference, an independent one increases it", () => {
  const [a, b] = [noise, gaussians(seededRandom(6), PEOPLE)];
  const of = (values: ArrayLike<number>) =>
    column(
      PEOPLE,
      [...Array(PEOPLE).keys()],
      (i) => i,
      (i) => values[i],
    );
  const difference = (x: ArrayLike<number>) =>
    bootstrap(PEOPLE, (chosen) => meanOver(of(a), chosen) - meanOver(of(x), chosen), null).error;
  expect(difference(a)).toBe(0);
  expect(difference(b) / (sampleDeviation([...a].map((v, i) => v - b[i]!)) / Math.sqrt(PEOPLE))).toBeCloseTo(1, 0.9);
});

test("pictures without a value do not count", () => {
  const two = column(
    2,
    [1, 2, 3],
    (v) => (v === 3 ? 1 : 0),
    (v) => (v === 1 ? undefined : v),
  );
  expect(meanOver(two, [0, 1])).toBe(2.5);
  expect(
    meanOver(
      column(
        1,
        [1],
        () => 0,
        () => undefined,
      ),
      [0],
    ),
  ).toBeNaN();
});
