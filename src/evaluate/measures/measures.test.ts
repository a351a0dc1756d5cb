import { expect, test } from "vitest";
import { rgb8 } from "../../image/rgb8.ts";
import { clipI, clipIToBase } from "./clip-i.ts";
import { clipT } from "./clip-t.ts";
import { dino } from "./dino.ts";
import { faceSim } from "./face-sim.ts";
import { faceSquare } from "./face-square.ts";
import { centreDirection, copying, rank1, shareOfWay } from "./identity.ts";
import { qualityFloor } from "./quality-floor.ts";
import { cosineOf } from "./vectors.ts";

const turned = (degrees: number): number[] => [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];

test("cosines do not depend on length, and measures are 100 times theirs", () => {
  expect(clipT([3, 0], [5, 5])).toBeCloseTo(100 * Math.SQRT1_2, 10);
  expect(clipT([1, 0], [-2, 0])).toBe(-100); // CLIPScore would cut it at 0
  expect(clipI([1, 0], [turned(0), turned(60)])).toBeCloseTo(75, 10);
  expect(dino([2, 0], [turned(60), turned(90)])).toBeCloseTo(25, 10);
  expect(clipIToBase([0, 2], turned(30))).toBeCloseTo(50, 10);
});

test("a feature without direction, one that is no number and no reference are refused", () => {
  expect(() => cosineOf([0, 0], [1, 0])).toThrow(RangeError);
  expect(() => cosineOf([Number.NaN, 1], [1, 0])).toThrow(RangeError);
  expect(() => cosineOf([1], [1, 0])).toThrow("features of 1 and of 2 numbers");
  expect(() => clipI([1, 0], [])).toThrow("nothing to compare with");
});

test("a picture without a face has no likeness, and is not the nearest to anybody", () => {
  const centres = [centreDirection([turned(0), turned(20)]), centreDirection([turned(90)])];
  expect(faceSim(null, [turned(0)])).toBeNull();
  expect(faceSim(turned(0), [turned(0), turned(90)])).toBeCloseTo(0.5, 10);
  expect(rank1(null, 0, centres)).toBe(0);
  expect([rank1(turned(30), 0, centres), rank1(turned(30), 1, centres)]).toEqual([1, 0]);
  expect(rank1(turned(30), 0, [turned(30), turned(30)])).toBe(0); // two people in one place
  expect(() => centreDirection([])).toThrow(RangeError);
});

test("a centre counts each vector by its direction alone", () => {
  expect(cosineOf(centreDirection([[10, 0], turned(90)]), turned(45))).toBeCloseTo(1, 12);
});

test("likeness as a share goes from pictures without an adapter to real ones", () => {
  expect(shareOfWay(0.5, 0.25, 0.75)).toBe(0.5);
  expect(shareOfWay(0.2, 0.25, 0.75)).toBeLessThan(0);
  expect(shareOfWay(0.5, 0.3, 0.3)).toBeNaN();
});

test("a copy of the given photo is 1, another photo of the person -1, and the middle 0", () => {
  const [truth, reference] = [turned(0), turned(40)];
  expect(copying(reference, truth, reference)).toBeCloseTo(1, 6);
  expect(copying(truth, truth, reference)).toBeCloseTo(-1, 6);
  expect(copying(turned(20), truth, reference)).toBeCloseTo(0, 6);
  expect(copying(turned(20), truth, truth)).toBe(0);
});

test("the quality floor counts pictures without a face, with several and with small ones", () => {
  expect(qualityFloor([[], [100], [63], [200, 30], [40, 20]])).toEqual({ withoutFace: 0.2, severalFaces: 0.4, smallFace: 0.4 });
  expect(qualityFloor([]).withoutFace).toBeNaN();
});

test("the square of a face is 1.25 sides around its middle, moved inside at the border", () => {
  const side = 200;
  const picture = rgb8(
    side,
    side,
    Uint8Array.from({ length: side * side * 3 }, (_, i) => (i % 3 === 0 ? Math.floor(i / 3) % side : Math.floor(i / 3 / side))),
  );
  const spanOf = (box: readonly [number, number, number, number]) => {
    const [left, top, right, bottom] = box;
    const { data, width, height } = faceSquare(picture, { left, top, right, bottom }, 32);
    expect([width, height]).toEqual([32, 32]);
    const at = (x: number, y: number, c: number): number => data[(y * 32 + x) * 3 + c]!;
    return [at(0, 16, 0), at(31, 16, 0), at(16, 0, 1), at(16, 31, 1)]; // columns and rows of the picture that lie at the square's borders
  };
  const near = (found: number[], wanted: number[]): void => {
    for (const [i, v] of found.entries()) expect(Math.abs(v - wanted[i]!)).toBeLessThanOrEqual(2);
  };
  near(spanOf([60, 70, 140, 110]), [51, 148, 41, 138]); // 100 pixels around (100, 90)
  near(spanOf([-20, 160, 60, 240]), [1, 98, 101, 198]);
  near(spanOf([0, 0, 500, 500]), [3, 196, 3, 196]);
});
