import { expect, test } from "vitest";
import { runsApart } from "./apart.ts";

test("encoders run in their own process on the processor, if the UNet loads slowly and all models fit into memory", () => {
  const SDXL = 2.567e9;
  expect(runsApart("cpu", SDXL, 6e9, 8e9)).toBe(true);
  expect(runsApart("cpu", SDXL, 9e9, 8e9)).toBe(false);
  expect(runsApart("webgpu", SDXL, 6e9, 8e9)).toBe(false);
  expect(runsApart("cpu", 5e6, 1e8, 8e9)).toBe(false);
});
