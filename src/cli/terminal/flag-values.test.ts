import fc from "fast-check";
import { expect, test } from "vitest";
import { heightAndWidth, pathAndScale, topAndLeft } from "./flag-values.ts";

test.each([
  ["style.safetensors", "style.safetensors", 1],
  ["style.safetensors:0.8", "style.safetensors", 0.8],
  ["style.safetensors:-1", "style.safetensors", -1],
  ["style.safetensors:.5", "style.safetensors", 0.5],
  ["a:b.safetensors:2", "a:b.safetensors", 2],
  ["C:\\loras\\a.safetensors", "C:\\loras\\a.safetensors", 1],
  ["C:\\loras\\a.safetensors:0.5", "C:\\loras\\a.safetensors", 0.5],
  ["C:/loras/a.safetensors:1e-1", "C:/loras/a.safetensors", 0.1],
  ["org/name:file.safetensors", "org/name:file.safetensors", 1],
  ["org/name@main:file.safetensors:0.7", "org/name@main:file.safetensors", 0.7],
  ["org/name:0.7", "org/name", 0.7],
])("--lora %s", (text, path, scale) => {
  expect(pathAndScale(text)).toEqual({ path, scale });
});

test.each(["a.safetensors:", "a.safetensors:x", "a.bin:0,8"])("--lora %s has no valid strength", (text) => {
  expect(() => pathAndScale(text)).toThrow(expect.objectContaining({ name: "UserError", code: "lora/scale" }));
});

test("sizes are given as width x height and passed on as height, width", () => {
  expect(heightAndWidth("768x512", "--original-size")).toEqual([512, 768]);
  expect(topAndLeft("16,32", "--crops-coords-top-left")).toEqual([16, 32]);
  fc.assert(
    fc.property(fc.nat(99999), fc.nat(99999), (w, h) => {
      expect(heightAndWidth(`${w}x${h}`, "--target-size")).toEqual([h, w]);
    }),
  );
});

test.each(["512", "512x", "x512", "512,512", "-1x5", "1.5x2", ""])("%j is not a size", (text) => {
  expect(() => heightAndWidth(text, "--original-size")).toThrow(
    expect.objectContaining({
      code: "original-size/wrong-form",
      message: expect.stringContaining(`--original-size is "${text}"`),
    }),
  );
});

test("--lora with weights of blocks", () => {
  expect(pathAndScale("C:\\loras\\a.safetensors:0.5:lbw=1,0, 0.5")).toEqual({
    path: "C:\\loras\\a.safetensors",
    scale: 0.5,
    blocks: [1, 0, 0.5],
  });
  expect(pathAndScale("a:lbw=1")).toEqual({ path: "a", scale: 1, blocks: [1] });
});

test.each(["a:1:lbw=OUTALL", "a:lbw=", "a:lbw=1,,0"])("--lora %s has no weights of blocks", (text) => {
  expect(() => pathAndScale(text)).toThrow(expect.objectContaining({ name: "UserError", code: "lora/blocks" }));
});
