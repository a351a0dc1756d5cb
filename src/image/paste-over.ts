import { type Rgb8, rgb8 } from "./rgb8.ts";

/**
 * A picture with another laid over a part of it.
 * @param over at `left` and `top`; it lies inside
 * @param opacity of each pixel of the picture, [height, width], 0 to 1; read where `over` lies
 */
export function pasteOver(picture: Rgb8, over: Rgb8, left: number, top: number, opacity: ArrayLike<number>): Rgb8 {
  const data = picture.data.slice();
  for (let y = 0; y < over.height; y++)
    for (let x = 0; x < over.width; x++) {
      const at = (top + y) * picture.width + left + x;
      const share = opacity[at]!;
      for (let c = 0; c < 3; c++) {
        const [old, fresh] = [picture.data[3 * at + c]!, over.data[3 * (y * over.width + x) + c]!];
        data[3 * at + c] = Math.round(old + share * (fresh - old));
      }
    }
  return rgb8(picture.width, picture.height, data);
}
