import fc from "fast-check";
import { expect, test } from "vitest";
import { fromPicture } from "./from-picture.ts";
import { rgb8 } from "./rgb8.ts";
import { toPicture } from "./to-picture.ts";

test("channels are interleaved, values scaled and clamped", () => {
  const decoded = Float32Array.of(-1, 1, -7, 7, 0.5, -0.5); // [3, 1, 2]
  expect(toPicture(decoded, 2, 1)).toEqual(rgb8(2, 1, Uint8Array.of(0, 0, 191, 255, 255, 64)));
});

test("halves are rounded to even, as numpy does", () => {
  // 127.5, and 64.5, which numpy 2.4.6 makes 128 and 64
  expect(toPicture(Float32Array.of(0, -0.49411762, 0), 1, 1).data).toEqual(Uint8Array.of(128, 64, 128));
});

test("a picture survives the conversion to the VAE's range and back", () => {
  const all = rgb8(
    256,
    1,
    Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3)),
  );
  expect(toPicture(fromPicture(all), 256, 1)).toEqual(all);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 36, maxLength: 36 }), (data) => {
      expect([...toPicture(fromPicture(rgb8(3, 4, data)), 3, 4).data]).toEqual([...data]);
    }),
  );
});

test("fromPicture gives -1..1 by channel", () => {
  expect([...fromPicture(rgb8(2, 1, Uint8Array.of(0, 255, 51, 255, 0, 51)))]).toMatchGolden([-1, 1, 1, -1, -0.6, -0.6], 1e-7);
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("a value of %d is refused: output/nan", (value) => {
  for (const at of [0, 5, 11]) {
    const decoded = new Float32Array(12);
    decoded[at] = value;
    expect(() => toPicture(decoded, 2, 2)).toThrow(expect.objectContaining({ name: "UserError", code: "output/nan" }));
  }
});

test("values that do not fill the size are a fault of the caller", () => {
  expect(() => toPicture(new Float32Array(11), 2, 2)).toThrow(TypeError);
});
