import { expect, test } from "vitest";
import { previewLatents } from "./preview-latents.ts";

test("previewLatents weighs the four channels of each pixel and clamps to bytes", () => {
  // pixels: zero, channel 0 = 1, channel 1 = 1, channel 2 = -0.31, channel 3 = 3
  const latents = Float32Array.of(0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, -0.31, 0, 0, 0, 0, 0, 3);
  const { width, height, data } = previewLatents(latents, 5, 1);
  expect([width, height]).toEqual([5, 1]);
  expect([...data]).toEqual([150, 140, 130, 210, 200, 190, 90, 135, 140, 142, 135, 131, 0, 0, 25]);
});

test("values that do not fill the size are a fault of the caller", () => {
  expect(() => previewLatents(new Float32Array(3), 1, 1)).toThrow(TypeError);
});
