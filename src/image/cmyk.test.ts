import { expect, test } from "vitest";
import { cmykToRgb } from "./cmyk.ts";

// [c, m, y, k] and Pillow 13.0.0's result: Image.frombytes("CMYK", (1, 1), bytes([...])).convert("RGB").tobytes()
test.each([
  [
    [0, 255, 128, 0],
    [255, 0, 127],
  ],
  [
    [17, 99, 201, 55],
    [187, 122, 42],
  ],
  [
    [3, 0, 255, 255],
    [0, 0, 0],
  ],
])("inks %j become %j", (inks, expected) => {
  expect([...cmykToRgb(Uint8Array.from(inks))]).toEqual(expected);
});
