/** Sizes that SDXL is told: height and width, or top and left, in pixels. */
export type Pair = readonly [number, number];

export interface SizeConditioning {
  readonly originalSize: Pair;
  readonly cropsCoordsTopLeft: Pair;
  readonly targetSize: Pair;
  readonly negativeOriginalSize?: Pair | undefined;
  readonly negativeCropsCoordsTopLeft?: Pair | undefined;
  readonly negativeTargetSize?: Pair | undefined;
}

/**
 * Size and crop conditioning of every row of the denoiser's batch: Podell et al. 2023 (arXiv 2307.01952), section 2.2.
 * Negative sizes count only if both are given. With guidance the rows are tiled [negative, positive, negative, …], as
 * diffusers does, although embeddings stand as [negative …, positive …]: with several pictures and other negative
 * sizes this differs from what one would expect, and is kept for equal results.
 * @returns rows of 6: original height, width, crop top, left, target height, width
 */
export function timeIds(sizes: SizeConditioning, images: number, guided: boolean): number[][] {
  const positive = [...sizes.originalSize, ...sizes.cropsCoordsTopLeft, ...sizes.targetSize];
  const { negativeOriginalSize, negativeTargetSize, negativeCropsCoordsTopLeft = [0, 0] } = sizes;
  const negative =
    negativeOriginalSize === undefined || negativeTargetSize === undefined
      ? positive
      : [...negativeOriginalSize, ...negativeCropsCoordsTopLeft, ...negativeTargetSize];
  return Array.from({ length: images }, () => (guided ? [negative, positive] : [positive])).flat();
}
