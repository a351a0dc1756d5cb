import { expect, test } from "vitest";
import type { Box } from "./face.ts";
import { maskOfPerson } from "./person-mask.ts";

const W = 60;
const H = 40;
/** A mask of rectangles [left, top, right, bottom, share]. */
function mask(...parts: readonly (readonly [number, number, number, number, number])[]): Float32Array {
  const out = new Float32Array(W * H);
  for (const [left, top, right, bottom, share] of parts)
    for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) out[y * W + x] = share;
  return out;
}
const box = (left: number, top: number, side: number): Box => ({ left, top, right: left + side, bottom: top + side });
const of = (given: Float32Array, face: Box, others: readonly Box[] = []) => {
  const out = maskOfPerson(given, { width: W, height: H }, face, others);
  return (x: number, y: number) => out[y * W + x]!;
};

test("alone, a person keeps the whole mask with its soft edge", () => {
  const given = mask([9, 4, 31, 40, 0.25], [10, 5, 30, 40, 1]);
  expect(maskOfPerson(given, { width: W, height: H }, box(15, 8, 10), [])).toEqual(given);
});

test("people who stand apart are parted where they are not connected", () => {
  const at = of(mask([5, 5, 20, 40, 1], [30, 5, 50, 40, 1]), box(8, 8, 8));
  expect([at(10, 30), at(40, 30)]).toEqual([1, 0]);
});

test("people who touch are parted half-way between their faces, at the shoulders and below", () => {
  const at = of(mask([0, 5, 60, 40, 1]), box(10, 8, 10), [box(40, 8, 10)]);
  expect([at(5, 12), at(29, 12), at(31, 12), at(29, 38), at(31, 38), at(55, 38)]).toEqual([1, 1, 0, 1, 0, 0]);
});

test("a child before an adult keeps its own", () => {
  const child = box(22, 24, 6);
  const adult = box(18, 2, 12);
  const given = mask([10, 0, 40, 40, 1]);
  expect(of(given, child, [adult])(25, 38)).toBe(1);
  expect(of(given, child, [adult])(24, 8)).toBe(0);
  expect(of(given, adult, [child])(24, 8)).toBe(1);
});

test("a face outside the mask has none", () => {
  expect(maskOfPerson(mask([5, 5, 20, 40, 1]), { width: W, height: H }, box(40, 8, 8), []).every((v) => v === 0)).toBe(true);
});
