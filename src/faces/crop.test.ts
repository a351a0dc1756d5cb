import fc from "fast-check";
import { expect, test } from "vitest";
import { squareAround } from "./crop.ts";
import type { Box } from "./face.ts";

const box = (left: number, top: number, width: number, height = width): Box => ({
  left,
  top,
  right: left + width,
  bottom: top + height,
});
const size = { width: 1000, height: 800 };

test("a small face gets a square of 2.6 sides, a little lower than the face", () => {
  expect(squareAround(size, box(450, 350, 80, 100))).toEqual({ x: 360, y: 280, size: 260 });
});

test("a portrait stays as it is: the face has a tenth of the area", () => {
  expect(squareAround(size, box(350, 250, 283))).toBeUndefined(); // 10.01 %
  expect(squareAround(size, box(350, 250, 282))).toMatchObject({ size: 733 });
  expect(squareAround(size, box(350, 250, 300), [], "always")).toMatchObject({ size: 780 });
  expect(squareAround(size, box(450, 350, 80), [], "off")).toBeUndefined();
});

test("a large face beside the middle square, which is all that the encoder sees, is brought into it", () => {
  const tall = { width: 1000, height: 2000 };
  expect(squareAround(tall, box(250, 100, 500))).toEqual({ x: 0, y: 0, size: 1000 });
  expect(squareAround(tall, box(250, 800, 500))).toBeUndefined();
});

test("the square is shifted inside the picture", () => {
  expect(squareAround(size, box(0, 0, 100))).toEqual({ x: 0, y: 0, size: 260 });
  expect(squareAround(size, box(920, 720, 100))).toEqual({ x: 740, y: 540, size: 260 }); // cut by the border
});

test("another face in the square makes it narrower", () => {
  expect(squareAround(size, box(400, 300, 100), [box(575, 300, 100)])).toEqual({ x: 340, y: 250, size: 220 });
  expect(squareAround(size, box(400, 300, 100), [box(800, 300, 100)])).toMatchObject({ size: 260 });
});

test("whatever the face, the square lies in the picture, is as large as the picture allows, and holds the face", () => {
  const side = fc.integer({ min: 20, max: 3000 });
  const share = fc.integer({ min: 0, max: 1000 });
  fc.assert(
    fc.property(side, side, fc.integer({ min: 5, max: 700 }), share, share, (width, height, wide, x, y) => {
      const face = Math.min(wide, width, height);
      const at = box((x / 1000) * (width - face), (y / 1000) * (height - face), face);
      const square = squareAround({ width, height }, at, [], "always")!;
      expect(square.size).toBe(Math.min(Math.round(2.6 * face), width, height));
      expect(square.x).toBeGreaterThanOrEqual(0);
      expect(square.y).toBeGreaterThanOrEqual(0);
      expect(square.x + square.size).toBeLessThanOrEqual(width);
      expect(square.y + square.size).toBeLessThanOrEqual(height);
      expect(square.x).toBeLessThanOrEqual(at.left + 0.51);
      expect(square.x + square.size).toBeGreaterThanOrEqual(at.right - 0.51);
    }),
  );
});
