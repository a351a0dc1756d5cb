import { type Rgb8, rgb8 } from "./rgb8.ts";

/**
 * The picture in shades of grey, in all three channels: ITU-R 601-2, rounded as in Pillow.
 * @see Pillow 13.0.0 src/libImaging/Convert.c rgb2l
 */
export function toGrey({ width, height, data }: Rgb8): Rgb8 {
  const out = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += 3)
    out.fill((data[i]! * 19595 + data[i + 1]! * 38470 + data[i + 2]! * 7471 + 0x8000) >> 16, i, i + 3);
  return rgb8(width, height, out);
}
