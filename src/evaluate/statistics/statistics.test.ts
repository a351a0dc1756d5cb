import { expect, test } from "vitest";
import { gaussians } from "../../core/random/gaussians.ts";
import { seededRandom } from "../../core/random/seeded-random.ts";
import { goldenJson } from "../../testing/tensors.ts";
import { resampled } from "./bootstrap.ts";
import { normalBelow, studentQuantile, studentWithin } from "./distributions.ts";
import { holm } from "./holm.ts";
import { estimate, expandedLevel, percentileInterval } from "./interval.ts";
import { sampleDeviation } from "./moments.ts";
import { pairedDifference, smallestDifference, withHolm } from "./paired.ts";
import { meanOfPeople, type Observation, personMeans, personTable } from "./person-table.ts";
import { signExchange } from "./sign-exchange.ts";
import { wilcoxon } from "./wilcoxon.ts";

type Values = readonly (readonly (readonly (number | null)[])[])[];

/** Observations of values [person][prompt][image]. */
const observations = (values: Values): Observation[] =>
  values.flatMap((own, person) => own.flatMap((row, prompt) => row.map((value) => ({ person, prompt, value }))));

const tableOf = (values: Values, missing: "left-out" | "zero" = "left-out") =>
  personTable(values.length, values[0]!.length, observations(values), { missing });

const golden = goldenJson("evaluate/stats/expected.json");
const [a, b] = [tableOf(golden.a), tableOf(golden.b)];
const CLOSE = 1e-9;

test("means of people, of missing faces too, and their mean are the recorded ones", () => {
  expect(personMeans(a)).toMatchGolden(golden["of each person"].a, CLOSE);
  expect(personMeans(b)).toMatchGolden(golden["of each person"].b, CLOSE);
  expect(estimate(a).value).toBeCloseTo(golden.mean.a, 9);
  expect(pairedDifference(a, b).value).toBeCloseTo(golden.mean["b - a"], 9);
  expect(estimate(a).missing).toBe(golden["faces missing in a"]);
});

test("given draws of people give the recorded error and interval", () => {
  const boot = golden["bootstrap over people"];
  const [first, second] = [personMeans(a), personMeans(b)];
  const drawn = resampled(golden.draws, (chosen) => meanOfPeople(first, chosen));
  expect(sampleDeviation(drawn)).toBeCloseTo(boot["standard error of a (N - 1)"], 9);
  expect(percentileInterval(drawn)).toMatchGolden(boot["a, 2.5 % and 97.5 %"], CLOSE);
  const apart = second.map((value, i) => value - first[i]!);
  const drawnApart = resampled(golden.draws, (chosen) => meanOfPeople(apart, chosen));
  expect(percentileInterval(drawnApart)).toMatchGolden(boot["b - a, 2.5 % and 97.5 %"], CLOSE);
});

test("exchange of signs and ranks give the recorded probabilities", () => {
  const difference = pairedDifference(a, b);
  expect(difference.p).toBeCloseTo(golden["exchange of signs, all of them, two sides"], 12);
  expect(difference.exact).toBe(true);
  expect(difference.wilcoxon).toBeCloseTo(golden["Wilcoxon, exact, two sides"], 12);
});

test("pictures of one person are not independent: the error that ignores people is too small", () => {
  expect(estimate(a).error).toBeGreaterThan(1.5 * golden["standard error that ignores people"]);
});

test("a missing face counts as 0 where it is to count, and is counted either way", () => {
  const values = [[[0.8, null]], [[0.6, 0.4]], [[null, null]]];
  const [leftOut, zero] = [estimate(tableOf(values)), estimate(tableOf(values, "zero"))];
  expect([leftOut.value, leftOut.people, leftOut.missing]).toEqual([0.65, 2, 3]); // the third person has no value at all
  expect(zero.value).toBeCloseTo((0.4 + 0.5 + 0) / 3, 12);
  expect([zero.people, zero.missing]).toEqual([3, 3]);
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])("%d is no measured value", (value) => {
  expect(() => personTable(1, 1, [{ person: 0, prompt: 0, value }])).toThrow(RangeError);
});

test.each([
  { people: 10, promptsAreRandom: false },
  { people: 25, promptsAreRandom: false },
  { people: 25, promptsAreRandom: true },
])(
  "an interval of $people people holds in 93 to 97 % of repetitions (prompts drawn: $promptsAreRandom)",
  ({ people, promptsAreRandom }) => {
    const [prompts, images, repetitions] = promptsAreRandom ? [6, 2, 500] : [4, 2, 1500];
    const random = seededRandom(11, people);
    let held = 0;
    for (let n = 0; n < repetitions; n++) {
      const own = gaussians(random, people);
      const noise = gaussians(random, people * prompts * images);
      const values = Array.from(own, (person, p) =>
        Array.from({ length: prompts }, (_, q) =>
          Array.from({ length: images }, (_, i) => 0.55 + 0.08 * person + 0.12 * noise[(p * prompts + q) * images + i]!),
        ),
      );
      const { low, high } = estimate(tableOf(values), { draws: 300, promptsAreRandom, seed: n });
      if (low <= 0.55 && 0.55 <= high) held++;
    }
    const share = held / repetitions;
    expect(share).toBeGreaterThan(0.93);
    // drawing prompts as well counts the noise of pictures twice, which makes the interval wider rather than narrower
    expect(share).toBeLessThan(promptsAreRandom ? 1 : 0.97);
  },
);

test("prompts that differ make the interval wider if they are drawn too", () => {
  const values = Array.from({ length: 12 }, (_, p) => Array.from({ length: 5 }, (_, q) => [0.5 + 0.1 * q + 0.001 * p]));
  const [fixed, drawn] = [false, true].map(
    (promptsAreRandom) => estimate(tableOf(values), { promptsAreRandom, draws: 2000 }).error,
  );
  expect(drawn!).toBeGreaterThan(20 * fixed!);
});

test("what people differ in does not count in a paired difference", () => {
  const people = gaussians(seededRandom(3), 15);
  const first = tableOf([...people].map((v) => [[v]]));
  const second = tableOf([...people].map((v, i) => [[v + 0.1 + 0.001 * (i % 3)]]));
  const { value, low, high, p, smallest } = pairedDifference(first, second);
  expect(value).toBeCloseTo(0.101, 4);
  expect(high - low).toBeLessThan(0.002);
  expect(p).toBe(2 / 2 ** 15);
  expect(smallest).toBeLessThan(0.001);
});

test("people without a value in one of the runs are left out of both", () => {
  const { value, people, ofPeople } = pairedDifference(tableOf([[[1]], [[2]], [[null]]]), tableOf([[[2]], [[4]], [[9]]]));
  expect([value, people]).toEqual([1.5, 2]);
  expect(ofPeople[2]).toBeNaN();
});

test("runs of other people or prompts are refused", () => {
  expect(() => pairedDifference(tableOf([[[1]]]), tableOf([[[1]], [[2]]]))).toThrow("1 x 1 people and prompts against 2 x 1");
});

test("random exchanges of signs come near the exact probability", () => {
  const twenty = [...gaussians(seededRandom(8), 20)].map((v) => v + 0.45);
  const exact = signExchange(twenty);
  expect(exact.exact).toBe(true);
  const random = signExchange([...twenty, 0]); // a difference of 0 changes no sum, and makes it 21
  expect(random.exact).toBe(false);
  expect(random.p).toBeCloseTo(exact.p, 2);
  expect(signExchange(Array(40).fill(1)).p).toBe(1 / 100_001); // never 0
});

test("equal sums count as equal in spite of rounding", () => {
  expect(signExchange([0.1, 0.2, 0.3]).p).toBe(0.25);
  expect(signExchange([0.1, -0.2, 0.1]).p).toBe(1);
});

test("equal ranks are shared, and differences of 0 are left out", () => {
  expect(wilcoxon([1, 1, 1])).toBe(0.25);
  expect(wilcoxon([1, -1, 0, 0])).toBe(1);
  expect(wilcoxon([])).toBe(1);
  // ranks 1.5, 1.5, 3: the smaller sum is 1.5, reached by 3 of 8 choices of signs
  expect(wilcoxon([2, -2, 5])).toBe(0.75);
  // ranks 2, 2, 2, 4, 5: a sum of at most 4 is reached by 8 of 32
  expect(wilcoxon([1, 1, 1, -2, 3])).toBe(0.5);
});

test("Holm multiplies the smallest by the number of tests, and keeps the order", () => {
  expect(holm([0.01, 0.04, 0.03, 0.005])).toEqual([0.03, 0.06, 0.06, 0.02]);
  expect(holm([0.6, 0.7])).toEqual([1, 1]);
  const both = withHolm({ one: pairedDifference(a, b), two: pairedDifference(a, b) });
  expect(both.one.pHolm).toBeCloseTo(2 * both.one.p, 12);
});

test("the smallest difference is found in 80 % of repetitions", () => {
  const random = seededRandom(5);
  let found = 0;
  const repetitions = 400;
  const shift = 2.8 / Math.sqrt(18);
  for (let n = 0; n < repetitions; n++) if (signExchange([...gaussians(random, 18)].map((v) => v + shift)).p < 0.05) found++;
  expect(found / repetitions).toBeGreaterThan(0.7);
  expect(found / repetitions).toBeLessThan(0.88);
  expect(smallestDifference([1, 3])).toBeCloseTo((2.8 * Math.SQRT2) / Math.SQRT2, 12);
  expect(smallestDifference([1])).toBeNaN();
});

test("distributions have their tabled values", () => {
  expect(normalBelow(-1.959963984540054)).toBeCloseTo(0.025, 12);
  expect(normalBelow(3)).toBeCloseTo(0.9986501019683699, 12);
  expect(studentQuantile(0.95, 1)).toBeCloseTo(12.706204736, 6);
  expect(studentQuantile(0.95, 24)).toBeCloseTo(2.063898562, 6);
  expect(studentQuantile(0.95, 9)).toBeCloseTo(2.262157163, 6);
  expect(studentWithin(2, 2)).toBeCloseTo(0.8164965809, 9);
  expect(expandedLevel(0.95, 10_000)).toBeCloseTo(0.95, 3);
  expect(expandedLevel(0.95, 1)).toBe(1);
});
