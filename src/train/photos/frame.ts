import type { Random } from "../../core/random/seeded-random.ts";
import { clipCrop, clipNormalise, noiseBackground, type Rgb8 } from "../../image/index.ts";

/** Offset of the centre crop in a picture resized so that its shorter side is `side`: SDXL's crop conditioning (arXiv 2307.01952, section 2.2). */
export function cropOf(
  { width, height }: Pick<Rgb8, "width" | "height">,
  side: number,
): { readonly top: number; readonly left: number } {
  const long = (a: number, b: number): number => Math.max(0, Math.floor((Math.trunc((side * a) / b) - side) / 2));
  return width <= height ? { top: long(height, width), left: 0 } : { top: 0, left: long(width, height) };
}

/** The person's share of each latent pixel, scaled to mean 1 so that the loss is a mean over the person. [side · side] */
export function maskWeights(mask: Rgb8, side: number): Float32Array {
  const { data } = clipCrop(mask, side);
  const share = Float32Array.from({ length: side * side }, (_, i) => data[i * 3]! / 255);
  const mean = share.reduce((a, b) => a + b, 0) / share.length;
  return mean > 0 ? share.map((v) => v / mean) : share.fill(1); // the person may lie outside the crop
}

/**
 * An ID image as the encoder takes it, [3, side, side], with random noise for background: PhotoMaker (arXiv 2312.04461),
 * section 4.
 */
export function maskedIdPixels(picture: Rgb8, mask: Rgb8 | undefined, side: number, random: Random): Float32Array {
  const square = clipCrop(picture, side);
  if (mask === undefined) return clipNormalise(square);
  return clipNormalise(noiseBackground(square, clipCrop(mask, side).data, random));
}
