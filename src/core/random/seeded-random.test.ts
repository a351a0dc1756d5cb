import { expect, test } from "vitest";
import { seededRandom } from "./seeded-random.ts";

const stream = (...key: number[]) => {
  const random = seededRandom(...key);
  return Array.from({ length: 5 }, () => random.integer(2 ** 31));
};

test("the key alone decides the stream", () => {
  expect(stream(1, 2, 3)).toEqual(stream(1, 2, 3));
  const keys = [[], [0], [1], [0, 0], [1, 0], [0, 1], [2 ** 32], [2 ** 40 + 1], [-1]];
  const firsts = keys.map((key) => stream(...key).join());
  expect(new Set(firsts).size).toBe(keys.length);
  expect(() => seededRandom(0.5)).toThrow("whole number");
});

test("the stream is the same everywhere, now and later", () => {
  expect(stream(42, 7)).toMatchInlineSnapshot(`
    [
      468319998,
      612195716,
      1641536255,
      1905468121,
      2102441732,
    ]
  `);
});

test("neighbouring keys give independent uniform numbers", () => {
  const n = 20_000;
  const pairs = Array.from(
    { length: n },
    (_, i) => [seededRandom(5, i).uniform(-1, 1), seededRandom(5, i + 1).uniform(-1, 1)] as const,
  );
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / n;
  expect(mean(pairs.map(([a]) => a))).toBeCloseTo(0, 1);
  expect(mean(pairs.map(([a]) => a * a)) * 3).toBeCloseTo(1, 1);
  expect(Math.abs(mean(pairs.map(([a, b]) => a * b)) * 3)).toBeLessThan(0.03); // four deviations
});

test("choices are as frequent as their weights, and those of weight 0 never occur", () => {
  const random = seededRandom(9);
  const counts = { a: 0, b: 0, c: 0 };
  for (let i = 0; i < 10_000; i++) counts[random.weighted({ a: 1, b: 3, c: 0 })]++;
  expect(counts.c).toBe(0);
  expect(counts.b / counts.a).toBeGreaterThan(2.7);
  expect(counts.b / counts.a).toBeLessThan(3.3);
});

test("bell has the deviation asked for, and is bounded", () => {
  const random = seededRandom(3);
  const values = Array.from({ length: 10_000 }, () => random.bell(2));
  expect(Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length)).toBeCloseTo(2, 1);
  expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(6);
});

test("shuffle keeps every element", () => {
  const list = [1, 2, 3, 4, 5, 6];
  const shuffled = seededRandom(8).shuffle(list);
  expect(shuffled).not.toEqual(list);
  expect(shuffled.toSorted()).toEqual(list);
});
