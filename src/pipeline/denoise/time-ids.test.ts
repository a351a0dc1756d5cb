import { expect, test } from "vitest";
import { timeIds } from "./time-ids.ts";

const sizes = { originalSize: [1, 2], cropsCoordsTopLeft: [3, 4], targetSize: [5, 6] } as const;
const negative = { negativeOriginalSize: [7, 8], negativeTargetSize: [9, 10], negativeCropsCoordsTopLeft: [11, 12] } as const;

test("rows follow the order of diffusers", () => {
  const positive = [1, 2, 3, 4, 5, 6];
  const other = [7, 8, 11, 12, 9, 10];
  expect(timeIds(sizes, 2, false)).toEqual([positive, positive]);
  expect(timeIds(sizes, 1, true)).toEqual([positive, positive]);
  expect(timeIds({ ...sizes, ...negative }, 2, true)).toEqual([other, positive, other, positive]);
});

test("one negative size alone changes nothing", () => {
  expect(timeIds({ ...sizes, negativeOriginalSize: [7, 8] }, 1, true)).toEqual(timeIds(sizes, 1, true));
});
