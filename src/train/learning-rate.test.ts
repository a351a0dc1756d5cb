import { expect, test } from "vitest";
import { rateShare } from "./learning-rate.ts";

const shares = (kind: "constant" | "cosine" | "linear", warmUp: number, flat: number) =>
  Array.from({ length: 10 }, (_, step) => rateShare({ kind, warmUp, flat }, step, 10));

test("the rate rises during warm-up, then stays or falls to zero at the end", () => {
  expect(shares("constant", 4, 0)).toEqual([0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1]);
  expect(shares("linear", 0, 0)).toEqual([1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1].map((v) => expect.closeTo(v, 12)));
  const cosine = shares("cosine", 2, 0.25); // falls from step 4 on
  expect(cosine.slice(0, 5)).toEqual([0.5, 1, 1, 1, 1]);
  expect(cosine[7]).toBeCloseTo(0.5, 12);
  expect(rateShare({ kind: "cosine", warmUp: 2, flat: 0.25 }, 10, 10)).toBeCloseTo(0, 12);
});

test("a rate that stays flat to the end never divides by zero", () => {
  expect(shares("cosine", 0, 1)).toEqual(Array(10).fill(1));
});
