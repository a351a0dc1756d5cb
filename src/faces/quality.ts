import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import { cutOut } from "../image/cut-out.ts";
import { resize } from "../image/resize.ts";
import type { Rgb8 } from "../image/rgb8.ts";
import { alignFace } from "./align.ts";
import type { Detection, FaceMesh } from "./face.ts";
import { sideOf } from "./geometry.ts";

/** Smaller faces give a poorer likeness. */
const SMALL = 64; // pixels of the longer side
/** Smaller faces are refused unless that is allowed. */
const TOO_SMALL = 32;

/**
 * Reasons why a face may give a poor likeness, where a plain measure shows one.
 *
 * Thresholds are between what 18 photos and paintings of eight people gave and what the same gave when they were blurred, cut or covered:
 *
 * | measure | as they are | made worse |
 * |---|---|---|
 * | sharpness | 0.28 and more | 0.16 at most, blurred by 2 % of the face's side |
 * | mesh outside the picture | 0.04 at most, a tenth of the face cut off at a side | 0.05 to 0.18, a fifth; 0.15 and more, a third |
 * | width over height of the box | 0.68 to 0.87 | 0.9 and more, a fifth to a third of the height cut off; 0.35 to 0.55, a third or half of the width |
 * | contrast of the better eye | 0.15 and more | 0.08 at most, behind dark glasses |
 * | nose between the eyes, from 0 to 1 | 0.31 to 0.66 | below 0.05 or above 0.95 from about 45 degrees on, when the tip of the nose stands before an eye |
 */
export function qualityOf(picture: Rgb8, face: Detection, mesh: FaceMesh): Notice[] {
  const side = sideOf(face.box);
  const size = `The face is ${Math.round(side)} pixels large, and should be ${SMALL} or more: give the photo in its original size, or one taken from nearer. Enlarging it adds no likeness.`;
  const found: Notice[] = [];
  if (side < TOO_SMALL) found.push({ code: "face/tiny", message: size });
  else if (side < SMALL) found.push({ code: "face/small", message: size });
  if (isCut(picture, face, mesh))
    found.push({ code: "face/cut", message: "The face is cut by the border of the photo: give one on which it is whole." });
  if (isTurned(face))
    found.push({
      code: "face/turned-away",
      message: "The face is turned away: a photo from the front gives a better likeness.",
    });
  if (sharpness(picture, face) < BLURRED)
    found.push({ code: "face/blurred", message: "The face is blurred: give a sharper photo." });
  else if (eyesAreCovered(picture, face))
    found.push({
      code: "face/eyes-covered",
      message: "The eyes seem to be covered, by dark glasses perhaps: give a photo on which they are seen.",
    });
  return found;
}

/**
 * Refuses a face that is too small for a likeness.
 * @throws UserError face/too-small
 */
export function refuseTooSmall(name: string, side: number, allowed: boolean): void {
  if (allowed || side >= TOO_SMALL) return;
  throw new UserError(
    "face/too-small",
    `The face in ${name} is ${Math.round(side)} pixels large; it takes ${TOO_SMALL}, and ${SMALL} or more for a good likeness.`,
    "Give the photo in its original size, or one taken from nearer. To use it all the same: --allow-small-faces.",
  );
}

/** Distance from the border, in sides of the face, at which a box counts as reaching it. */
const AT_BORDER = 0.02;
const OUTSIDE = 0.06; // share of the mesh
const [NARROWEST, WIDEST] = [0.62, 0.92]; // width over height

function isCut({ width, height }: Rgb8, { box, points }: Detection, mesh: FaceMesh): boolean {
  const near = AT_BORDER * sideOf(box);
  const reaches = box.left < near || box.top < near || box.right > width - near || box.bottom > height - near;
  if (!reaches) return false;
  const outside = ([x, y]: readonly [number, number, ...number[]]): boolean => x < 0 || y < 0 || x >= width || y >= height;
  const inside = (length: number, from: number, to: number): number => Math.min(length, to) - Math.max(0, from);
  const shape = inside(width, box.left, box.right) / inside(height, box.top, box.bottom);
  const share = mesh.points.filter(outside).length / mesh.points.length;
  return share >= OUTSIDE || points.some(outside) || shape < NARROWEST || shape > WIDEST;
}

const BETWEEN = 0.05;

/** Whether the tip of the nose, seen along the line from eye to eye, is not between the eyes. */
function isTurned({ points: [left, right, nose] }: Detection): boolean {
  const [x, y] = [right[0] - left[0], right[1] - left[1]];
  const along = ((nose[0] - left[0]) * x + (nose[1] - left[1]) * y) / (x * x + y * y);
  return !(along > BETWEEN && along < 1 - BETWEEN);
}

/** Longer side at which a face is measured: about what the ID encoder sees of it. */
const MEASURED = 96; // pixels
const BLURRED = 0.18;

/** Deviation of the Laplacian over that of the brightness, of a face shrunk to 96 pixels: what is blurred only at a larger size does not count. */
export function sharpness(picture: Rgb8, { box }: Pick<Detection, "box">): number {
  const [left, top] = [Math.max(0, Math.round(box.left)), Math.max(0, Math.round(box.top))];
  const width = Math.min(picture.width, Math.round(box.right)) - left;
  const height = Math.min(picture.height, Math.round(box.bottom)) - top;
  if (width < 3 || height < 3) return 0;
  const scale = Math.min(1, MEASURED / Math.max(width, height));
  const [w, h] = [Math.max(3, Math.round(width * scale)), Math.max(3, Math.round(height * scale))];
  const grey = brightness(resize(cutOut(picture, left, top, width, height), w, h, "bilinear"));
  const laplacian: number[] = [];
  for (let y = 1; y < h - 1; y++)
    for (let x = 1; x < w - 1; x++) {
      const i = y * w + x;
      laplacian.push(4 * grey[i]! - grey[i - 1]! - grey[i + 1]! - grey[i - w]! - grey[i + w]!);
    }
  const contrast = spreadOf(grey).deviation;
  return contrast === 0 ? 0 : spreadOf(laplacian).deviation / contrast;
}

const ALIGNED = 112; // pixels
/** Least contrast of an eye, and least brightness, over the brightness of the cheeks. */
const [FLAT, DARK] = [0.1, 0.2];

/** Whether neither eye shows the contrast of white, iris and lid, or both are as dark as glasses. */
function eyesAreCovered(picture: Rgb8, { points }: Detection): boolean {
  const grey = brightness(alignFace(picture, points, ALIGNED));
  const patch = (cx: number, cy: number, rx: number, ry: number) => {
    const rows = Array.from({ length: 2 * ry + 1 }, (_, y) => (cy - ry + y) * ALIGNED + cx - rx);
    return spreadOf(rows.flatMap((start) => [...grey.subarray(start, start + 2 * rx + 1)]));
  };
  const cheeks = Math.max(patch(36, 72, 6, 6).mean, patch(76, 72, 6, 6).mean, 1);
  const eyes = [patch(38, 52, 10, 6), patch(74, 52, 10, 6)];
  return eyes.every(({ deviation }) => deviation < FLAT * cheeks) || eyes.every(({ mean }) => mean < DARK * cheeks);
}

const brightness = ({ data, width, height }: Rgb8): Float32Array =>
  Float32Array.from(
    { length: width * height },
    (_, i) => 0.299 * data[i * 3]! + 0.587 * data[i * 3 + 1]! + 0.114 * data[i * 3 + 2]!, // ITU-R BT.601
  );

function spreadOf(values: ArrayLike<number>): { readonly mean: number; readonly deviation: number } {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    sum += values[i]!;
    squares += values[i]! ** 2;
  }
  const mean = sum / values.length;
  return { mean, deviation: Math.sqrt(Math.max(0, squares / values.length - mean * mean)) };
}
