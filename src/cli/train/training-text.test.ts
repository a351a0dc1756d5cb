import { expect, test } from "vitest";
import { phaseText, stepText } from "./training-text.ts";

const memory = {
  phase: "memory",
  weights: 166e6,
  trained: 3.3e9,
  mapped: 7.3e9,
  widened: 0,
  values: 0.4e9,
  least: 6.5e9,
} as const;

test("memory is listed in full, with a warning if frozen weights do not all fit", () => {
  const fits = "166 million trained parameters; memory: about 6.5 GB, and 7.3 GB of frozen weights read in place; 18.0 GB free";
  expect(phaseText({ ...memory, available: 18e9 })).toBe(fits);
  expect(phaseText({ ...memory, available: 12e9 })).toContain("read in place; they do not all fit, so every step reads");
  expect(phaseText({ ...memory, mapped: 0, available: 18e9 })).not.toContain("in place");
});

test("each step has its seconds and memory", () => {
  const at = { task: "adapter", step: 3, steps: 8, loss: 1, metrics: {}, norm: 1, secondsLeft: 9, stepsPerSecond: 1 };
  expect(stepText({ ...at, stepSeconds: 31.26, peakMemory: 13.75e9 })).toBe("3/8, 31.3 s a step, 13.8 GB");
});
