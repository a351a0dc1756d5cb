import { expect, test } from "vitest";
import { compareEngines, comparisonText } from "./comparison.ts";

const series = [
  { engine: "ours", seconds: [1, 10, 2], peakMemory: 3.1e9 },
  { engine: "theirs", seconds: [2, 20, 3], peakMemory: undefined },
  { engine: "other", seconds: undefined, peakMemory: undefined },
];

test("ratios are computed round by round, so that a slow round affects both engines", () => {
  const [ours, theirs, other] = compareEngines(series);
  expect(ours).toMatchObject({ seconds: { median: 2, min: 1, max: 10 }, ratio: { median: 1, min: 1, max: 1 } });
  expect(theirs).toMatchObject({ seconds: { median: 3 }, ratio: { median: 2, min: 1.5, max: 2 } });
  expect(other).toMatchObject({ seconds: undefined, ratio: undefined });
});

test("rounds not finished by all engines are left out of the ratio", () => {
  expect(compareEngines([{ ...series[0]!, seconds: [1] }, series[1]!])[1]!.ratio).toEqual({ median: 2, min: 2, max: 2 });
  expect(compareEngines([{ ...series[0]!, seconds: [] }, series[1]!])[1]!.ratio).toBeUndefined();
});

test("the table has a line for each engine", () => {
  const text = comparisonText({ part: "unet", width: 512, height: 512, batch: 1 }, compareEngines(series));
  expect(text).toContain("UNet evaluation, 512x512, batch 1");
  expect(text).toMatch(/ours +2\.00 +\(1\.00-10\.00\) +1\.00 +\(1\.00-1\.00\) +3\.1 GB/);
  expect(text).toMatch(/theirs +3\.00 +\(2\.00-20\.00\) +2\.00 +\(1\.50-2\.00\) +-/);
  expect(text).toMatch(/other +- +- +-$/m);
});
