import { type Rgb8, rgb8 } from "./rgb8.ts";

/** Copies a part of a picture; it must lie inside. */
export function cutOut(picture: Rgb8, left: number, top: number, width: number, height: number): Rgb8 {
  if (left === 0 && top === 0 && width === picture.width && height === picture.height) return picture;
  const out = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * picture.width + left) * 3;
    out.set(picture.data.subarray(from, from + width * 3), y * width * 3);
  }
  return rgb8(width, height, out);
}
