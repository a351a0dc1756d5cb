import { type Rgb8, rgb8 } from "../../image/rgb8.ts";

/**
 * Fits a picture into `width` x `height` at the upper left, in its own shape; the rest is black.
 * Each pixel is bilinear between four, without antialiasing, in OpenCV's fixed point, byte for byte.
 *
 * @returns the fitted picture, and by how much it was scaled
 * @see opencv 5.0.0 modules/imgproc/src/resize.cpp HResizeLinear, VResizeLinear; deepinsight/insightface python-package/insightface/model_zoo/scrfd.py SCRFD.detect
 */
export function fitted(picture: Rgb8, width: number, height: number): { readonly input: Rgb8; readonly scale: number } {
  const tall = picture.height / picture.width > height / width;
  const wide = tall ? Math.max(1, Math.floor(height / (picture.height / picture.width))) : width;
  const high = tall ? height : Math.max(1, Math.floor(width * (picture.height / picture.width)));
  const out = new Uint8Array(width * height * 3);
  const [across, down] = [places(picture.width, wide), places(picture.height, high)];
  const { data } = picture;
  for (let y = 0; y < high; y++) {
    const [above, below] = [down.before[y]! * picture.width, down.after[y]! * picture.width];
    const [q0, q1] = [down.first[y]!, down.second[y]!];
    for (let x = 0; x < wide; x++) {
      const [left, right, p0, p1] = [across.before[x]!, across.after[x]!, across.first[x]!, across.second[x]!];
      for (let c = 0; c < 3; c++) {
        const upper = data[(above + left) * 3 + c]! * p0 + data[(above + right) * 3 + c]! * p1;
        const lower = data[(below + left) * 3 + c]! * p0 + data[(below + right) * 3 + c]! * p1;
        out[(y * width + x) * 3 + c] = (((q0 * (upper >> 4)) >> 16) + ((q1 * (lower >> 4)) >> 16) + 2) >> 2;
      }
    }
  }
  return { input: rgb8(width, height, out), scale: high / picture.height };
}

const ONE = 2048; // a share of 1

/** For each new pixel, the two old ones around it and their shares. */
function places(from: number, to: number): Record<"before" | "after" | "first" | "second", Int32Array> {
  const [before, after, first, second] = [new Int32Array(to), new Int32Array(to), new Int32Array(to), new Int32Array(to)];
  const within = (place: number): number => Math.min(Math.max(place, 0), from - 1);
  for (let i = 0; i < to; i++) {
    const at = Math.fround((i + 0.5) * (from / to) - 0.5);
    const place = Math.floor(at);
    const share = Math.fround(at - place); // outside the picture both are its border
    before[i] = within(place);
    after[i] = within(place + 1);
    first[i] = Math.round(Math.fround(1 - share) * ONE);
    second[i] = Math.round(share * ONE);
  }
  return { before, after, first, second };
}
