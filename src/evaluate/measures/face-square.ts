import type { Box } from "../../faces/face.ts";
import { centreOf, sideOf } from "../../faces/geometry.ts";
import { cutOut } from "../../image/cut-out.ts";
import { resize } from "../../image/resize.ts";
import type { Rgb8 } from "../../image/rgb8.ts";

const MARGIN = 1.25;
/** Side of the squares whose LPIPS is face diversity, in pixels. */
const SIDE = 256;

/**
 * The square in which a face is compared by LPIPS: 1.25 sides of its box around its middle, not turned, 256 x 256 by bicubic with antialiasing. A square that reaches
 * over the border is moved inside, and one that is larger than the picture becomes the picture's part as far as it goes.
 */
export function faceSquare(picture: Rgb8, box: Box, side = SIDE): Rgb8 {
  const wanted = Math.max(1, Math.round(MARGIN * sideOf(box)));
  const [x, y] = centreOf(box);
  const along = (middle: number, whole: number): readonly [start: number, length: number] => {
    const length = Math.min(wanted, whole);
    return [Math.min(Math.max(0, Math.round(middle - length / 2)), whole - length), length];
  };
  const [left, width] = along(x, picture.width);
  const [top, height] = along(y, picture.height);
  return resize(cutOut(picture, left, top, width, height), side, side, "bicubic");
}
