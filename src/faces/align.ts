import { type Rgb8, rgb8 } from "../image/rgb8.ts";
import type { FivePoints, Point } from "./face.ts";

/** Similarity transform: (x, y) goes to (a·x − b·y + dx, b·x + a·y + dy). */
export interface Similarity {
  readonly a: number;
  readonly b: number;
  readonly dx: number;
  readonly dy: number;
}

/**
 * Places of the five points in an aligned crop of 112 pixels a side. A crop of 128 pixels has 8 more on the left and on the right.
 * @see Deng et al. 2019, "ArcFace" (arXiv 1801.07698), section 3.1; deepinsight/insightface python-package/insightface/utils/face_align.py
 */
const ARCFACE: FivePoints = [
  [38.2946, 51.6963],
  [73.5318, 51.5014],
  [56.0252, 71.7366],
  [41.5493, 92.3655],
  [70.7299, 92.2041],
];

/**
 * Gives the places of the five points in an aligned crop.
 * @param size side of the crop in pixels, a multiple of 112 or of 128
 * @throws TypeError for another size: the caller's fault, not the user's
 */
export function alignedPoints(size: number): FivePoints {
  const wide = size % 112 !== 0;
  if (!(size > 0) || (wide && size % 128 !== 0)) throw new TypeError(`a crop of ${size} pixels has no template`);
  const scale = size / (wide ? 128 : 112);
  const [left, right, nose, mouthLeft, mouthRight] = ARCFACE;
  const place = ([x, y]: Point): Point => [(x + (wide ? 8 : 0)) * scale, y * scale];
  return [place(left), place(right), place(nose), place(mouthLeft), place(mouthRight)];
}

/**
 * Finds the similarity transform, without reflection, that moves `points` nearest to `targets` in the mean square.
 * In a plane Umeyama's solution is a regression of complex numbers: target = (a + ib)·point + (dx + i·dy).
 *
 * @throws TypeError if the points coincide or differ in number from the targets: the caller's fault, not the user's
 * @see Umeyama 1991, "Least-squares estimation of transformation parameters between two point patterns"
 */
export function similarity(points: readonly Point[], targets: readonly Point[]): Similarity {
  const [px, py] = middleOf(points);
  const [tx, ty] = middleOf(targets);
  let along = 0;
  let across = 0;
  let spread = 0;
  for (const [i, [x, y]] of points.entries()) {
    const [u, v] = [x - px, y - py];
    const [s, t] = [targets[i]![0] - tx, targets[i]![1] - ty];
    along += u * s + v * t;
    across += u * t - v * s;
    spread += u * u + v * v;
  }
  if (points.length !== targets.length || !(spread > 0)) throw new TypeError("no similarity transform goes through these points");
  const [a, b] = [along / spread, across / spread];
  return { a, b, dx: tx - (a * px - b * py), dy: ty - (b * px + a * py) };
}

const middleOf = (points: readonly Point[]): Point => [
  points.reduce((sum, [x]) => sum + x, 0) / points.length,
  points.reduce((sum, [, y]) => sum + y, 0) / points.length,
];

/**
 * Moves a picture by `transform` into a picture of `width` x `height`. Each pixel is bilinear between four pixels of the original in exact numbers;
 * pixels have their centres at whole numbers, and outside the original all is black.
 * A crop smaller than its original is not antialiased, which is how recognisers have seen their training pictures.
 */
export function warp(picture: Rgb8, transform: Similarity, width: number, height = width): Rgb8 {
  const { a, b, dx, dy } = transform;
  const square = a * a + b * b;
  const out = new Uint8Array(width * height * 3);
  const { width: w, height: h, data } = picture;
  for (let v = 0; v < height; v++)
    for (let u = 0; u < width; u++) {
      const x = (a * (u - dx) + b * (v - dy)) / square;
      const y = (a * (v - dy) - b * (u - dx)) / square;
      const left = Math.floor(x);
      const top = Math.floor(y);
      if (left < -1 || top < -1 || left >= w || top >= h) continue;
      const fx = x - left;
      const fy = y - top;
      const [above, below, before, after] = [top >= 0, top + 1 < h, left >= 0, left + 1 < w];
      const from = (top * w + left) * 3;
      const to = (v * width + u) * 3;
      for (let channel = 0; channel < 3; channel++) {
        const at = from + channel;
        const upper = (above && before ? data[at]! : 0) * (1 - fx) + (above && after ? data[at + 3]! : 0) * fx;
        const lower = (below && before ? data[at + w * 3]! : 0) * (1 - fx) + (below && after ? data[at + w * 3 + 3]! : 0) * fx;
        out[to + channel] = Math.round(upper * (1 - fy) + lower * fy);
      }
    }
  return rgb8(width, height, out);
}

/**
 * Cuts out a face so that its five points lie where recognisers expect them.
 * @param size side of the crop in pixels, a multiple of 112 or of 128
 */
export function alignFace(picture: Rgb8, points: FivePoints, size: number): Rgb8 {
  return warp(picture, similarity(points, alignedPoints(size)), size);
}
