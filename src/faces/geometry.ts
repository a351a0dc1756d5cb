import type { Box, Detection, FivePoints, Point } from "./face.ts";

export const widthOf = ({ left, right }: Box): number => right - left;
export const heightOf = ({ top, bottom }: Box): number => bottom - top;
export const areaOf = (box: Box): number => Math.max(0, widthOf(box)) * Math.max(0, heightOf(box));
export const centreOf = ({ left, top, right, bottom }: Box): Point => [(left + right) / 2, (top + bottom) / 2];

/** Side of a face: the longer side of its box, in pixels. */
export const sideOf = (box: Box): number => Math.max(widthOf(box), heightOf(box));

/** The part that two boxes share; its area is 0 if there is none. */
export const sharedBox = (a: Box, b: Box): Box => ({
  left: Math.max(a.left, b.left),
  top: Math.max(a.top, b.top),
  right: Math.min(a.right, b.right),
  bottom: Math.min(a.bottom, b.bottom),
});

export const holds = ({ left, top, right, bottom }: Box, [x, y]: Point): boolean =>
  x >= left && x < right && y >= top && y < bottom;

/** A picture in which faces were sought: a picture scaled by `across` and `down`, of which a part was cut out at (left, top). */
export interface SearchView {
  readonly across: number;
  readonly down: number;
  readonly left: number;
  readonly top: number;
}

/** Moves a detection from a view to the picture itself. */
export function placed({ box, points, score }: Detection, { across, down, left, top }: SearchView): Detection {
  const place = ([x, y]: Point): Point => [(x + left) / across, (y + top) / down];
  const [x0, y0] = place([box.left, box.top]);
  const [x1, y1] = place([box.right, box.bottom]);
  return { box: { left: x0, top: y0, right: x1, bottom: y1 }, points: eachPoint(points, place), score };
}

/** Applies a function to each of the five points. */
export function eachPoint([a, b, c, d, e]: FivePoints, change: (point: Point) => Point): FivePoints {
  return [change(a), change(b), change(c), change(d), change(e)];
}
