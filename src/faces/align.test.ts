import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { decodePhoto, rgb8 } from "../image/index.ts";
import { goldenPath, hasGolden } from "../testing/golden.ts";
import { alignedPoints, alignFace, similarity, warp } from "./align.ts";
import type { FivePoints } from "./face.ts";

interface Crop {
  readonly size: number;
  readonly file: string;
  readonly matrix: readonly (readonly number[])[];
}
interface Case {
  readonly picture: string;
  readonly landmarks: FivePoints;
  readonly crops: readonly Crop[];
}
const { cases, template } = JSON.parse(readFileSync(goldenPath("faces/align/expected.json"), "utf8")) as {
  readonly cases: readonly Case[];
  readonly template: FivePoints;
};
const crops = cases
  .flatMap(({ picture, landmarks, crops }) => crops.map((crop) => ({ picture, landmarks, ...crop })))
  .filter(({ picture, file }) => hasGolden("faces/align", picture) && hasGolden("faces/align", file));

test("the crop of 112 pixels has ArcFace's places", () => {
  expect(alignedPoints(112)).toEqual(template);
  expect(() => alignedPoints(100)).toThrow(TypeError);
});

test.each(crops)("a face is aligned as the reference does it: $file", async ({ picture, landmarks, size, file, matrix }) => {
  const { a, b, dx, dy } = similarity(landmarks, alignedPoints(size));
  expect([a, -b, dx, b, a, dy]).toMatchGolden(matrix.flat(), 1e-9);
  const crop = alignFace(await decodePhoto(goldenPath("faces/align", picture)), landmarks, size);
  const expected = await decodePhoto(goldenPath("faces/align", file));
  expect([crop.width, crop.height]).toEqual([expected.width, expected.height]);
  expect(crop.data).toMatchGolden(expected.data, 1);
});

test("a transform is found that moved the points", () => {
  const points = [[3, 4], [10, -2], [7, 7]] as const; // biome-ignore format: a table
  const moved = points.map(([x, y]) => [2 * x - 0.5 * y + 5, 0.5 * x + 2 * y - 1] as const);
  const { a, b, dx, dy } = similarity(points, moved);
  expect([a, b, dx, dy]).toMatchGolden([2, 0.5, 5, -1], 1e-12);
  expect(() => similarity([[1, 1], [1, 1]], [[0, 0], [1, 1]])).toThrow(TypeError); // biome-ignore format: a table
});

test("pixels that are not moved stay to the bit, and outside all is black", () => {
  const picture = rgb8(2, 1, Uint8Array.of(1, 2, 3, 250, 251, 252));
  expect([...warp(picture, { a: 1, b: 0, dx: 0, dy: 0 }, 2, 1).data]).toEqual([...picture.data]);
  expect([...warp(picture, { a: 1, b: 0, dx: 1.5, dy: 0 }, 3, 1).data]).toEqual([0, 0, 0, 1, 1, 2, 126, 127, 128]);
});
