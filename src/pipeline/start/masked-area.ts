import type { Area } from "./fit.ts";

export interface Region extends Area {
  readonly left: number;
  readonly top: number;
}

/**
 * The part of a picture that is drawn for a mask: its box with padding, widened to the shape of what is drawn as far as the picture reaches.
 * @param box of the mask
 * @param shape size that is asked for
 */
export function regionOf(
  box: { readonly left: number; readonly top: number; readonly right: number; readonly bottom: number },
  picture: Area,
  padding: number,
  shape: Area,
): Region {
  const left = Math.max(0, box.left - padding);
  const top = Math.max(0, box.top - padding);
  const width = Math.min(picture.width, box.right + padding) - left;
  const height = Math.min(picture.height, box.bottom + padding) - top;
  const ratio = shape.width / shape.height;
  const wide = Math.min(picture.width, Math.max(width, Math.round(height * ratio)));
  const high = Math.min(picture.height, Math.max(height, Math.round(width / ratio)));
  const about = (start: number, length: number, wanted: number, whole: number): number =>
    Math.min(whole - wanted, Math.max(0, start - Math.floor((wanted - length) / 2)));
  return {
    left: about(left, width, wide, picture.width),
    top: about(top, height, high, picture.height),
    width: wide,
    height: high,
  };
}

/**
 * The size in which a region is drawn: the one that is asked for, or one of the same area and the region's shape where the picture is too small
 * for the other shape.
 * @param factor pixels for each latent
 */
export function drawnSize(region: Area, asked: Area, factor: number): Area {
  const off = region.width / region.height / (asked.width / asked.height);
  if (Math.abs(off - 1) < 0.05) return asked;
  const scale = Math.sqrt((asked.width * asked.height) / (region.width * region.height));
  const whole = (side: number): number => Math.max(factor, Math.round((side * scale) / factor) * factor);
  return { width: whole(region.width), height: whole(region.height) };
}
