import { expect, test } from "vitest";
import { mergeSightings, type Sighting } from "./merge.ts";

/** A square sighting. */
const seen = (left: number, top: number, side: number, score: number, cut = false): Sighting => ({
  box: { left, top, right: left + side, bottom: top + side },
  points: [
    [left, top],
    [left, top],
    [left, top],
    [left, top],
    [left, top],
  ],
  score,
  cut,
});
const lefts = (sightings: readonly Sighting[]): number[] => mergeSightings(sightings).map(({ box }) => box.left);

test("a face that two passes see is kept once, as it was seen best", () => {
  expect(lefts([seen(100, 100, 50, 0.7), seen(104, 98, 52, 0.9)])).toEqual([104]);
});

test("half a face at the edge of a tile gives way to the whole face, however sure it is", () => {
  expect(lefts([seen(100, 100, 100, 0.7), seen(130, 130, 70, 0.95, true)])).toEqual([100]);
  expect(lefts([seen(100, 100, 100, 0.7), seen(110, 110, 20, 0.95, true)])).toEqual([100]); // a strip of it
  expect(lefts([seen(100, 100, 100, 0.7, true)])).toEqual([100]); // at the edge of every pass
});

test("neighbours whose boxes overlap, and a small face behind a shoulder, stay apart; the surest comes first", () => {
  expect(lefts([seen(100, 100, 100, 0.8), seen(150, 110, 100, 0.9)])).toEqual([150, 100]);
  expect(lefts([seen(100, 100, 100, 0.8), seen(170, 105, 25, 0.9)])).toEqual([170, 100]);
});
