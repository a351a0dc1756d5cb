import { expect, test } from "vitest";
import type { Random } from "../../core/random/seeded-random.ts";
import { clipNormalise, type Rgb8, rgb8 } from "../../image/index.ts";
import { cropOf, maskedIdPixels, maskWeights } from "./frame.ts";

/** A picture whose pixels are a function of column and row. */
function drawn(width: number, height: number, colour: (x: number, y: number) => readonly [number, number, number]): Rgb8 {
  const pixels = Array.from({ length: width * height }, (_, i) => colour(i % width, Math.floor(i / width)));
  return rgb8(width, height, Uint8Array.from(pixels.flat()));
}
const grey = (v: number) => [v, v, v] as const;
/** A stand-in for random numbers that counts from 0. */
function counter(): Random {
  let n = 0;
  return { integer: () => n++ } as unknown as Random;
}

test("the crop's offset is counted in pixels of the resized picture, above or left of the centre square", () => {
  const at = (width: number, height: number, side: number) =>
    cropOf(
      drawn(width, height, () => grey(0)),
      side,
    );
  expect(at(100, 150, 64)).toEqual({ top: 16, left: 0 }); // 64 x 96: 32 rows too many
  expect(at(150, 100, 64)).toEqual({ top: 0, left: 16 });
  expect(at(100, 133, 64)).toEqual({ top: 10, left: 0 }); // 64 x 85 (of 85.12): 21 too many, the odd one below
  expect(at(20, 20, 64)).toEqual({ top: 0, left: 0 });
});

test("weights are the person's share of each latent pixel, scaled to mean 1", () => {
  // one row of four is the person, and half of one pixel below
  const mask = drawn(4, 4, (x, y) => grey(y === 0 ? 255 : y === 1 && x === 2 ? 127.5 : 0));
  const weights = maskWeights(mask, 4);
  const sum = 4 + 127 / 255;
  expect(weights).toMatchGolden(
    [1, 1, 1, 1, 0, 0, 127 / 255, 0, 0, 0, 0, 0, 0, 0, 0, 0].map((v) => (v * 16) / sum),
    1e-6,
  );
  expect(weights.reduce((a, b) => a + b, 0) / 16).toBeCloseTo(1, 6);
});

test("where the crop shows nothing of the person, all of it counts", () => {
  const below = drawn(4, 12, (_, y) => grey(y === 11 ? 255 : 0));
  expect([...maskWeights(below, 4)]).toEqual(Array(16).fill(1));
});

test("a mask is cropped to the same square as its picture", () => {
  const above = drawn(4, 8, (_, y) => grey(y === 2 ? 255 : 0)); // the first row of the centre square
  expect([...maskWeights(above, 4)]).toEqual([4, 4, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
});

test("an ID image keeps the person and is noise where its mask is black", () => {
  const picture = drawn(2, 2, (x, y) => [10 * x, 20 * y, 200]);
  const mask = drawn(2, 2, (x, y) => grey([255, 0, 51, 204][y * 2 + x]!));
  // each value of each pixel draws its own noise: here 0 to 11
  const expected = [
    ...[0, 0, 200], // the person
    ...[3, 4, 5], // noise
    ...[0.8 * 6, 0.2 * 20 + 0.8 * 7, 0.2 * 200 + 0.8 * 8].map(Math.round),
    ...[0.8 * 10 + 0.2 * 9, 0.8 * 20 + 0.2 * 10, 0.8 * 200 + 0.2 * 11].map(Math.round),
  ];
  expect(maskedIdPixels(picture, mask, 2, counter())).toEqual(clipNormalise(rgb8(2, 2, Uint8Array.from(expected))));
});

test("an ID image without a mask is the picture as it is", () => {
  const picture = drawn(2, 2, (x, y) => [10 * x, 20 * y, 200]);
  expect(maskedIdPixels(picture, undefined, 2, counter())).toEqual(clipNormalise(picture));
});
