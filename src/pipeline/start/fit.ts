import { type Rgb8, resize } from "../../image/index.ts";

export interface Area {
  readonly width: number; // pixels
  readonly height: number;
}

/** How pictures of one size become pictures of another: scaled, and cut at the sides. */
export interface Fit extends Area {
  /** Part of the scaled picture that is left. */
  readonly crop: Area & { readonly left: number; readonly top: number };
  /** Whether anything is cut off. */
  readonly cuts: boolean;
}

/**
 * Fits a picture into a size: stretched if the shapes differ by less than `slack` pixels, as where sides are rounded to whole latents;
 * otherwise scaled to cover it, and cut at both sides alike.
 */
export function fitInto(from: Area, to: Area, slack: number): Fit {
  const scale = Math.max(to.width / from.width, to.height / from.height);
  const [width, height] = [from.width * scale, from.height * scale].map(Math.round) as [number, number];
  if (width - to.width < slack && height - to.height < slack) return { ...to, crop: { ...to, left: 0, top: 0 }, cuts: false };
  const [left, top] = [Math.floor((width - to.width) / 2), Math.floor((height - to.height) / 2)];
  return { width, height, crop: { ...to, left, top }, cuts: true };
}

/** The fitted picture, scaled by Lanczos as in diffusers' VaeImageProcessor. */
export function fittedPicture(picture: Rgb8, { width, height, crop }: Fit): Rgb8 {
  const same = picture.width === crop.width && picture.height === crop.height && width === crop.width && height === crop.height;
  return same ? picture : resize(picture, width, height, "lanczos", crop);
}
