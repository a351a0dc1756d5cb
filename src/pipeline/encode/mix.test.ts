import { expect, test } from "vitest";
import { floats } from "../../core/array.ts";
import { sharesOf, stackCounts, stackOf, tokenWeights, weighTokens } from "./mix.ts";

test("who has no share gets an equal part of what is left", () => {
  expect(sharesOf([undefined, 0.3])[0]).toBeCloseTo(0.7);
  expect(sharesOf([undefined, undefined])).toEqual([0.5, 0.5]);
  expect(sharesOf([undefined, 0.5, undefined])).toEqual([0.25, 0.5, 0.25]);
});

test.each([
  [
    [0.7, 0.3],
    [7, 3],
  ],
  [
    [0.5, 0.5],
    [1, 1],
  ],
  [
    [0.75, 0.25],
    [3, 1],
  ],
  [
    [2 / 3, 1 / 3],
    [2, 1],
  ],
  [
    [0.97, 0.03],
    [9, 1],
  ],
  [
    [0.03, 0.97],
    [1, 9],
  ],
  [
    [0.2, 0.3, 0.5],
    [2, 3, 5],
  ],
])("%s are so many tokens of the smallest stack: %s", (shares, counts) => {
  expect(stackCounts(shares)).toEqual(counts);
});

test("every share is met as nearly as ten photos allow, and everyone has one", () => {
  for (let percent = 1; percent < 100; percent++) {
    const [a, b] = stackCounts([1 - percent / 100, percent / 100]) as [number, number];
    expect(a + b).toBeLessThanOrEqual(10);
    expect(Math.min(a, b)).toBeGreaterThan(0);
    expect(Math.abs(b / (a + b) - percent / 100)).toBeLessThan(0.1);
  }
});

test("photos are repeated or averaged, with the tokens of each photo together", () => {
  const a = floats(Float32Array.of(1, 10, 2, 20), 4, 1); // two photos of two tokens
  const b = floats(Float32Array.of(5, 50, 7, 70, 9, 90), 6, 1);
  expect([...stackOf([a, b], [3, 1], 2).data]).toEqual([1, 10, 2, 20, 1, 10, 7, 70]);
  const [x, y] = [...stackOf([b], [2], 2).data.subarray(2)];
  expect([x, y]).toEqual([8, 80]);
});

test("weights of tokens are one on average, and in proportion to the shares for each person", () => {
  const weights = tokenWeights([0.7, 0.3], [2, 1]);
  expect(weights.map((w) => Number(w.toFixed(4)))).toEqual([1.05, 1.05, 0.9]);
  expect(tokenWeights([0.5, 0.5], [1, 1])).toEqual([1, 1]);
});

test("a weighted token lies on the line from the class word to the fused one; others stay", () => {
  const fused = floats(Float32Array.of(1, 2, 3, 4), 4, 1);
  const roomy = floats(Float32Array.of(9, 1, 1, 9), 4, 1);
  expect([...weighTokens(fused, roomy, [1, 2], [0, 1.5, 7]).data]).toEqual([1, 1, 4, 4]);
});
