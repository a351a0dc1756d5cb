import { type Rgb8, rgb8 } from "../image/rgb8.ts";
import type { FivePoints } from "./face.ts";

/** Degrees by which a picture is turned clockwise. */
export type Turn = 0 | 90 | 180 | 270;
export const TURNS: readonly Turn[] = [0, 90, 180, 270];

/** Turns a picture clockwise. */
export function turned(picture: Rgb8, turn: Turn): Rgb8 {
  if (turn === 0) return picture;
  const { width, height, data } = picture;
  const [wide, high] = turn === 180 ? [width, height] : [height, width];
  // index of the first pixel that is read, and what is added to it for each column and each row of the result
  const [first, column, row] =
    turn === 90 ? [(height - 1) * width, -width, 1] : turn === 180 ? [height * width - 1, -1, -width] : [width - 1, width, -1];
  const out = new Uint8Array(data.length);
  for (let y = 0, to = 0; y < high; y++)
    for (let x = 0, from = (first + y * row) * 3; x < wide; x++, from += column * 3) {
      out[to++] = data[from]!;
      out[to++] = data[from + 1]!;
      out[to++] = data[from + 2]!;
    }
  return rgb8(wide, high, out);
}

/** The turn that sets a face upright: the mouth then lies below the eyes, give or take 45 degrees. */
export function uprightTurn([leftEye, rightEye, , leftMouth, rightMouth]: FivePoints): Turn {
  const right = leftMouth[0] + rightMouth[0] - leftEye[0] - rightEye[0];
  const down = leftMouth[1] + rightMouth[1] - leftEye[1] - rightEye[1];
  if (Math.abs(right) <= Math.abs(down)) return down >= 0 ? 0 : 180;
  return right > 0 ? 90 : 270;
}
