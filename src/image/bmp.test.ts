import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { goldenPath } from "../testing/golden.ts";
import { goldenJson } from "../testing/tensors.ts";
import { decodePhoto } from "./decode-photo.ts";

// reference/bmp.py
const { width, height, pixels }: { width: number; height: number; pixels: Record<string, number[]> } = goldenJson(
  "photos",
  "bmp",
  "expected.json",
);
const fileOf = (name: string): Buffer => readFileSync(goldenPath("photos", "bmp", `${name}.bmp`));

test.each(Object.keys(pixels))("a BMP is decoded as Pillow decodes it: %s", async (name) => {
  const picture = await decodePhoto(fileOf(name));
  expect([picture.width, picture.height]).toEqual([width, height]);
  expect([...picture.data]).toEqual(pixels[name]);
});

/** A good file with some bytes replaced. */
const changed = (name: string, at: number, ...bytes: number[]): Uint8Array => {
  const file = Uint8Array.from(fileOf(name));
  file.set(bytes, at);
  return file;
};

test.each<[string, () => Uint8Array, string, RegExp]>([
  ["rows that are missing", () => fileOf("rgb24").subarray(0, -40), "photo/truncated", /bytes of its pixels are missing/],
  ["a header that is cut off", () => fileOf("rgb24").subarray(0, 30), "photo/truncated", /header is cut off/],
  ["masks that are cut off", () => fileOf("rgb565").subarray(0, 60), "photo/truncated", /header is cut off/],
  ["a header of another size", () => changed("rgb24", 14, 41), "photo/truncated", /41 bytes/],
  ["no width", () => changed("rgb24", 18, 0, 0, 0, 0), "photo/truncated", /0x5 pixels/],
  ["no height", () => changed("rgb24", 22, 0, 0, 0, 0), "photo/truncated", /11x0 pixels/],
  ["2 bits", () => changed("rgb24", 28, 2), "photo/unreadable", /2 bits/],
  ["a JPEG inside", () => changed("rgb24", 30, 4), "photo/unreadable", /JPEG/],
  ["pixels outside the file", () => changed("rgb24", 10, 0, 0, 1), "photo/truncated", /outside the file/],
  ["pixels inside the header", () => changed("rgb24", 10, 20), "photo/truncated", /outside the file/],
  ["no palette", () => changed("palette8-all", 10, 54, 0), "photo/truncated", /no palette/],
  ["scattered masks", () => changed("rgb565", 54, 0x05, 0xf0), "photo/truncated", /scattered/],
  ["runs that end", () => fileOf("rle8").subarray(0, -9), "photo/truncated", /end in row 5 of 5/],
  ["runs from the top", () => changed("rle8", 22, 0xfb, 0xff, 0xff, 0xff), "photo/truncated", /top/],
  ["more pixels than anybody has", () => changed("rle8", 18, 0xff, 0xff, 0xff, 0x7f), "photo/enormous", /2147483647x5/],
  ["a width that its bytes do not fill", () => changed("rgb24", 18, 0xff, 0xff, 0xff, 0x7f), "photo/truncated", /missing/],
])("%s: a damaged BMP is refused", async (_, file, code, message) => {
  await expect(decodePhoto(file())).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
});

test("any byte may be wrong: a picture, or an error with a code", async () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  for (const name of Object.keys(pixels))
    for (let i = 0; i < 30; i++) {
      const file = changed(name, random(70), random(256));
      const found = await decodePhoto(file, { maxPixels: 1e6 }).then(
        ({ data }) => typeof data,
        (error: { code?: string }) => error.code,
      );
      expect(found).toMatch(/^(object|photo\/(truncated|unreadable|enormous|too-small))$/);
    }
});
