import { gaussianBlur } from "./gaussian-blur.ts";
import { type Rgb8, rgb8 } from "./rgb8.ts";

/** Pixels at the left, top, right and bottom. */
export type Sides = readonly [number, number, number, number];

/** Deviation of the blur of what is new, in pixels. */
const BLUR = 8;

/** A larger picture around a picture: what is new repeats its edge, blurred, so that drawing goes on from its colours. */
export function outpainted({ width, height, data }: Rgb8, [left, top, right, bottom]: Sides): Rgb8 {
  const [wide, high] = [left + width + right, top + height + bottom];
  const inside = (x: number, y: number): boolean => x >= left && x < left + width && y >= top && y < top + height;
  const out = new Uint8Array(wide * high * 3);
  for (let channel = 0; channel < 3; channel++) {
    const repeated = Float32Array.from({ length: wide * high }, (_, i) => {
      const x = Math.min(width - 1, Math.max(0, (i % wide) - left));
      const y = Math.min(height - 1, Math.max(0, Math.floor(i / wide) - top));
      return data[3 * (y * width + x) + channel]!;
    });
    const blurred = gaussianBlur(repeated, wide, high, BLUR);
    for (let i = 0; i < repeated.length; i++) {
      const old = inside(i % wide, Math.floor(i / wide));
      out[3 * i + channel] = Math.round(old ? repeated[i]! : blurred[i]!);
    }
  }
  return rgb8(wide, high, out);
}

/**
 * What may change where a picture has grown: all that is new, and a strip of the old beside it, less and less.
 * @param strip its width in pixels
 * @returns shares [height, width] of the larger picture, 0 to 1
 */
export function outpaintMask(
  { width, height }: Pick<Rgb8, "width" | "height">,
  [left, top, right, bottom]: Sides,
  strip: number,
): Float32Array {
  const [wide, high] = [left + width + right, top + height + bottom];
  /** Pixels from the new part, of a side that has one. */
  const far = (added: number, distance: number): number => (added === 0 ? Number.POSITIVE_INFINITY : distance);
  return Float32Array.from({ length: wide * high }, (_, i) => {
    const [x, y] = [(i % wide) - left, Math.floor(i / wide) - top];
    const nearest = Math.min(far(left, x), far(top, y), far(right, width - 1 - x), far(bottom, height - 1 - y));
    return nearest < 0 ? 1 : Math.max(0, 1 - (nearest + 1) / (strip + 1));
  });
}
