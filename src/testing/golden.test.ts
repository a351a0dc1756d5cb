import { expect, test } from "vitest";
import { compare } from "./golden.ts";

test.each([
  ["a wrong value", [1, 2.1], [1, 2]],
  ["NaN", [1, Number.NaN], [1, 2]],
  ["NaN expected", [1, 2], [1, Number.NaN]],
  ["another length", [1, 2, 3], [1, 2]],
  ["another order", [2, 1], [1, 2]],
])("the golden matcher refuses %s", (_, actual, expected) => {
  expect(compare(actual, expected, 0.05, false).pass).toBe(false);
});

test("the golden matcher accepts what is within the tolerance", () => {
  expect(compare([1, 2.04], [1, 2], 0.05, false).pass).toBe(true);
  expect(compare([100, 204], [100, 200], 0.021, true).pass).toBe(true);
  expect(compare([Number.POSITIVE_INFINITY], [Number.POSITIVE_INFINITY], 0, false).pass).toBe(true);
});
