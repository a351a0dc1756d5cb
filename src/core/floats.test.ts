import { expect, test } from "vitest";
import { bfloatsToFloats, floatToHalf, halfToFloat, halvesToFloats } from "./floats.ts";

test("every half-precision pattern survives the conversion to float and back", () => {
  for (let bits = 0; bits < 65536; bits++) {
    const value = halfToFloat(bits);
    if (!Number.isNaN(value)) expect(floatToHalf(value)).toBe(bits);
  }
});

test("floatToHalf rounds to nearest, ties to even, and overflows to infinity", () => {
  expect(floatToHalf(1 + 2 ** -11)).toBe(0x3c00); // halfway between 1 and the next half: even stays
  expect(floatToHalf(1 + 3 * 2 ** -11)).toBe(0x3c02);
  expect(floatToHalf(65519)).toBe(0x7bff);
  expect(floatToHalf(65520)).toBe(0x7c00);
  expect(floatToHalf(2 ** -25)).toBe(0);
  expect(floatToHalf(2 ** -25 * 1.01)).toBe(1);
});

test("arrays convert like single values", () => {
  expect([...halvesToFloats(Uint16Array.of(0x3c00, 0xc000, 0x0001))]).toEqual([1, -2, 2 ** -24]);
  expect([...bfloatsToFloats(Uint16Array.of(0x3f80, 0xc000))]).toEqual([1, -2]);
});
