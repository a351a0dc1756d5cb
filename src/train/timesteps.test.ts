import { expect, test } from "vitest";
import { logitNormalTimesteps, powerTimesteps } from "./timesteps.ts";

const drawn = (quantile: (share: number) => number, count = 10_000): number[] =>
  Array.from({ length: count }, (_, i) => quantile((i + 0.5) / count));

test("a power below 1 brings late timesteps more often", () => {
  expect(powerTimesteps(1)(0.3)).toBe(0.3);
  expect(powerTimesteps(0.5)(0.25)).toBe(0.5);
});

test("without a uniform part to speak of, logits are normal: their mean and spread", () => {
  const logits = drawn(logitNormalTimesteps({ middle: 0.25, spread: 0.8, uniform: 1e-9 })).map((x) => Math.log(x / (1 - x)));
  const mean = logits.reduce((a, b) => a + b, 0) / logits.length;
  const spread = Math.sqrt(logits.reduce((sum, x) => sum + (x - mean) ** 2, 0) / logits.length);
  expect(mean).toBeCloseTo(Math.log(1 / 3), 2);
  expect(spread).toBeCloseTo(0.8, 2);
});

test("the uniform part reaches both ends, and nothing falls outside", () => {
  const quantile = logitNormalTimesteps({ middle: 0.25, uniform: 0.5 });
  const timesteps = drawn(quantile);
  expect(timesteps.filter((x) => x > 0.95).length / timesteps.length).toBeCloseTo(0.025, 3);
  expect(quantile(0)).toBeGreaterThanOrEqual(0);
  expect(quantile(1 - 1e-16)).toBeLessThan(1);
  expect(timesteps).toEqual(timesteps.toSorted((a, b) => a - b));
});

test("all uniform is uniform", () => {
  const quantile = logitNormalTimesteps({ middle: 0.5, uniform: 1 });
  for (const share of [0, 0.1, 0.5, 0.99]) expect(quantile(share)).toBeCloseTo(share, 6);
});
