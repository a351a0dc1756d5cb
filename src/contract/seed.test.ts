import { expect, test } from "vitest";
import { parseGenerateRequest } from "./request.ts";

const seedOf = (seed: unknown) => parseGenerateRequest({ prompt: "a", seed }).seed;

test.each([
  [42, 42],
  ["42", 42],
  [" 0042 ", 42],
  [42n, 42],
  [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  ["9007199254740991", Number.MAX_SAFE_INTEGER],
  ["9007199254740993", "9007199254740993"],
  [2n ** 64n - 1n, "18446744073709551615"],
  ["18446744073709551615", "18446744073709551615"],
])("the seed %s is %s, exactly", (given, expected) => {
  expect(seedOf(given)).toBe(expected);
  expect(seedOf(JSON.parse(JSON.stringify(seedOf(given))))).toBe(expected);
});

test.each([
  ["18446744073709551616", "seed/out-of-range", 'seed is "18446744073709551616", and must be at most 18446744073709551615.'],
  [2n ** 64n, "seed/out-of-range", "seed is 18446744073709551616, and must be at most 18446744073709551615."],
  [2 ** 53, "seed/out-of-range", "seed is 9007199254740992, and must be at most 9007199254740991."],
  ["-1", "seed/out-of-range", 'seed is "-1", and must be at least 0.'],
  [1.5, "seed/wrong-type", "seed is 1.5, and must be a whole number."],
  ["1e3", "seed/wrong-type", 'seed is "1e3", and must be a number.'],
  ["", "seed/wrong-type", 'seed is "", and must be a number.'],
  [Number.NaN, "seed/wrong-type", "seed is NaN, and must be a number."],
  [true, "seed/wrong-type", "seed is true, and must be a number."],
])("the seed %s is refused: %s", (given, code, message) => {
  expect(() => seedOf(given)).toThrow(expect.objectContaining({ name: "UserError", code, message }));
});

test("a large number is told to be given as text, since numbers are not exact there", () => {
  expect(() => seedOf(2 ** 60)).toThrow(expect.objectContaining({ remedy: expect.stringContaining("as text") }));
});
