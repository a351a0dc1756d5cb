import type { Box } from "./face.ts";
import { areaOf, centreOf, heightOf, sideOf, widthOf } from "./geometry.ts";

/** Square part of a picture, in whole pixels; it lies inside. */
export interface Square {
  readonly x: number;
  readonly y: number;
  readonly size: number;
}

/** Whether a photo is cropped around the face: where the face is small in it, always, or never. */
export type CropMode = "auto" | "always" | "off";

/** A face with this share of the picture's area is as large as in training, whose squares held faces of 10 % and more. */
const LARGE = 0.1;
/** Side of the square in sides of the face: in training 3.16 at the most; 2.2 where more would show another face. */
const WIDE = 2.6;
const NARROW = 2.2;
/** Distance of the square's centre below the face's, in sides of the face: as much room for hair as for the neck. */
const LOWER = 0.1;
/** Share of a face's box that must lie in the middle square for a portrait to stay as it is. */
const WHOLE = 0.95;

/**
 * Chooses the square around a face that the ID encoder is to see: 2.2 to 3 sides of the face, shifted inside the picture, never stretched. Where the
 * picture is narrower, it is as large as the picture allows.
 *
 * @param others boxes of other people's faces
 * @returns undefined if the photo stays as it is. With `auto` these are photos in which the face has a tenth of the area or more and lies in the
 *   middle square, which is all that the encoder sees.
 * @see PhotoMaker (arXiv 2312.04461), section 3.3, for the crops of its training
 */
export function squareAround(
  picture: { readonly width: number; readonly height: number },
  face: Box,
  others: readonly Box[] = [],
  mode: CropMode = "auto",
): Square | undefined {
  if (mode === "off") return undefined;
  const side = sideOf(face);
  const shorter = Math.min(picture.width, picture.height);
  if (mode === "auto" && areaOf(inside(face, picture)) >= LARGE * picture.width * picture.height)
    return heldByMiddle(face, picture) ? undefined : squareAt(picture, face, shorter);
  const wide = squareAt(picture, face, WIDE * side);
  return others.some((other) => touches(wide, other)) ? squareAt(picture, face, NARROW * side) : wide;
}

/** A square of about `size` pixels around a face, inside the picture. */
function squareAt({ width, height }: { width: number; height: number }, face: Box, size: number): Square {
  const whole = Math.max(1, Math.min(Math.round(size), width, height));
  const [x, y] = centreOf(face);
  const start = (centre: number, length: number): number => Math.min(Math.max(0, Math.round(centre - whole / 2)), length - whole);
  return { x: start(x, width), y: start(y + LOWER * sideOf(face), height), size: whole };
}

const inside = (box: Box, { width, height }: { width: number; height: number }): Box => ({
  left: Math.max(0, box.left),
  top: Math.max(0, box.top),
  right: Math.min(width, box.right),
  bottom: Math.min(height, box.bottom),
});

const touches = ({ x, y, size }: Square, { left, top, right, bottom }: Box): boolean =>
  left < x + size && right > x && top < y + size && bottom > y;

/** Whether a face lies in the middle square of a picture, the only part that CLIP's preprocessing keeps. */
function heldByMiddle(face: Box, { width, height }: { width: number; height: number }): boolean {
  const shorter = Math.min(width, height);
  const [x, y] = [(width - shorter) / 2, (height - shorter) / 2];
  const seen = inside(face, { width, height });
  const across = Math.min(seen.right, x + shorter) - Math.max(seen.left, x);
  const down = Math.min(seen.bottom, y + shorter) - Math.max(seen.top, y);
  return across >= WHOLE * widthOf(seen) && down >= WHOLE * heightOf(seen);
}
