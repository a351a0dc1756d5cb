import { expect, test } from "vitest";
import { goldenPath } from "../testing/golden.ts";
import { goldenJson, goldenTensors } from "../testing/tensors.ts";
import { decodePhoto } from "./decode-photo.ts";
import { resizeFloats } from "./resize-floats.ts";
import { rgb8 } from "./rgb8.ts";

test("clean resizing to 299 x 299 gives Pillow's numbers", async () => {
  const golden = await goldenTensors("evaluate/inception/expected.safetensors");
  const { pictures } = goldenJson("evaluate/inception/expected.json");
  for (const [i, name] of pictures.entries()) {
    const found = resizeFloats(await decodePhoto(goldenPath("evaluate/inception", name)), 299, 299, "bicubic");
    const { data, dims } = await golden.floats(`${i}.sample`);
    const [, rows, columns] = dims as [number, number, number];
    const sample = Array.from(data, (_, n) => {
      const [c, y, x] = [Math.floor(n / (rows * columns)), Math.floor(n / columns) % rows, n % columns];
      return found[c * 299 * 299 + y * 23 * 299 + x * 23]!;
    });
    expect(sample).toMatchGolden(data, 1e-4); // of 255
  }
});

test("shrinking averages every pixel, and values stay within 0 to 255", () => {
  const stripes = rgb8(
    40,
    30,
    Uint8Array.from({ length: 40 * 30 * 3 }, (_, i) => (Math.floor(i / 3) % 2) * 255),
  );
  for (const value of resizeFloats(stripes, 10, 10, "bilinear").slice(11, 19)) expect(Math.abs(value - 127.5)).toBeLessThan(1);
  const edge = rgb8(4, 1, Uint8Array.from([0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255]));
  const large = resizeFloats(edge, 40, 4, "bicubic");
  expect(Math.min(...large)).toBe(0);
  expect(Math.max(...large)).toBe(255);
  // a tall picture is resized down first, a wide one across first: the same numbers within rounding
  const tall = rgb8(
    8,
    64,
    Uint8Array.from({ length: 8 * 64 * 3 }, (_, i) => (i * 37) % 256),
  );
  expect(resizeFloats(tall, 4, 8, "bicubic").every((v) => v >= 0 && v <= 255)).toBe(true);
});
