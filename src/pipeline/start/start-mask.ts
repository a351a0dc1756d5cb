import { UserError } from "../../core/errors.ts";
import type { Notice } from "../../core/notice.ts";
import { gaussianBlur } from "../../image/gaussian-blur.ts";
import { type Rgb8, resize, rgb8 } from "../../image/index.ts";
import { outpaintMask, type Sides } from "../../image/outpaint.ts";
import { toGrey } from "../../image/to-grey.ts";
import { type Area, type Fit, fittedPicture } from "./fit.ts";

/** How much each pixel of a picture may change. */
export interface StartMask extends Area {
  /** [height, width], 0 to 1 */
  readonly shares: Float32Array;
  /** `hard` is 0 or 1 alone; `edge` is that with a soft edge; `soft` is a map of how much may change. */
  readonly kind: "hard" | "edge" | "soft";
}

/** Levels from black and from white that are black and white still: as JPEG leaves them. */
const NEARLY = 16;
/** Width of the strip of the old picture that is drawn with what is new, in pixels. */
const STRIP = 32;

/**
 * Reads a mask for a picture.
 * @throws UserError mask/size, mask/empty
 */
export function maskOf(given: Rgb8, { width, height }: Area): { readonly mask: StartMask; readonly notices: readonly Notice[] } {
  const notices: Notice[] = [];
  const grey = toGrey(given);
  const levels = grey.data.filter((_, i) => i % 3 === 0);
  const soft = levels.some((v) => v >= NEARLY && v <= 255 - NEARLY);
  if (!levels.some((v) => v > NEARLY))
    throw new UserError(
      "mask/empty",
      "The mask is black everywhere, so nothing would be drawn.",
      "Paint white what is to be drawn anew.",
    );
  if (levels.every((v) => v >= 255 - NEARLY))
    notices.push({
      code: "mask/full",
      message: "The mask is white everywhere: the whole picture may change, as without a mask.",
    });
  if (soft)
    notices.push({
      code: "mask/soft",
      message:
        "The mask has grey parts: they change less than its white ones, and begin to change later (differential diffusion).",
    });
  const shown = `${given.width}x${given.height}`;
  if (given.width !== width || given.height !== height) {
    const off = Math.abs(given.width / given.height / (width / height) - 1);
    if (off > 0.02)
      throw new UserError(
        "mask/size",
        `The mask is ${shown} and its picture is ${width}x${height}, which is another shape.`,
        "Give a mask of the same size as the picture.",
      );
    notices.push({
      code: "mask/resized",
      message: `The mask is ${shown} and is scaled to ${width}x${height}, the size of its picture.`,
    });
  }
  const scaled = given.width === width && given.height === height ? grey : resize(grey, width, height, "lanczos");
  return { mask: { width, height, ...sharesOf(scaled, soft ? "soft" : "hard") }, notices };
}

/** Hard masks are cut at the middle, as diffusers' VaeImageProcessor does with do_binarize. */
const sharesOf = ({ data }: Rgb8, kind: StartMask["kind"]): Pick<StartMask, "shares" | "kind"> => ({
  kind,
  shares: Float32Array.from({ length: data.length / 3 }, (_, i) => {
    const share = data[3 * i]! / 255;
    return kind === "hard" ? Number(share >= 0.5) : share;
  }),
});

/** The mask with a blurred edge. @param deviation in pixels; 0 changes nothing */
export function withBlur(mask: StartMask, deviation: number): StartMask {
  if (deviation === 0) return mask;
  const shares = gaussianBlur(mask.shares, mask.width, mask.height, deviation).map((v) => Math.min(1, v));
  return { ...mask, shares, kind: mask.kind === "hard" ? "edge" : mask.kind };
}

/** The mask of a picture that has grown: with what is new, and a strip beside it. @param old what may change of the old one */
export function grownMask(area: Area, sides: Sides, old: StartMask | undefined): StartMask {
  const [left, top, right, bottom] = sides;
  const shares = outpaintMask(area, sides, STRIP);
  const [width, height] = [left + area.width + right, top + area.height + bottom];
  for (const [i, share] of old?.shares.entries() ?? []) {
    const at = (top + Math.floor(i / area.width)) * width + left + (i % area.width);
    shares[at] = Math.max(shares[at]!, share);
  }
  return { width, height, shares, kind: old?.kind === "soft" ? "soft" : "edge" };
}

/** The mask scaled and cut as its picture is. */
export function fittedMask(mask: StartMask, fit: Fit): StartMask {
  const levels = new Uint8Array(3 * mask.shares.length);
  for (const [i, share] of mask.shares.entries()) levels.fill(Math.round(255 * share), 3 * i, 3 * i + 3);
  const { width, height, data } = fittedPicture(rgb8(mask.width, mask.height, levels), fit);
  return { width, height, ...sharesOf(rgb8(width, height, data), mask.kind) };
}

/**
 * How far what was drawn covers what was there. A map of how much may change is no map of opacity: where it says half, what was drawn is
 * the picture; only where it says nearly nothing, the two are alike and may be mixed.
 */
export const opacityOf = ({ shares, kind }: StartMask): Float32Array =>
  kind === "soft" ? shares.map((share) => Math.min(1, 4 * share)) : shares;

/** The box around what may change. */
export function boxOf({ width, shares }: StartMask): { left: number; top: number; right: number; bottom: number } {
  const box = { left: Number.POSITIVE_INFINITY, top: Number.POSITIVE_INFINITY, right: 0, bottom: 0 };
  for (const [i, share] of shares.entries()) {
    if (share < 0.02) continue; // the far end of a blur
    const [x, y] = [i % width, Math.floor(i / width)];
    box.left = Math.min(box.left, x);
    box.top = Math.min(box.top, y);
    box.right = Math.max(box.right, x + 1);
    box.bottom = Math.max(box.bottom, y + 1);
  }
  return box;
}

/** How much each latent may change: [h, w], 0 to 1. */
export interface LatentMask {
  readonly shares: Float32Array;
  /** Whether shares lie between 0 and 1, so that latents begin to change at different steps. */
  readonly soft: boolean;
}

/**
 * A mask for latents: of a hard one the first pixel of each block, as diffusers interpolates to the nearest; of a soft one the mean.
 * @param factor pixels for each latent
 */
export function latentMaskOf({ width, height, shares, kind }: StartMask, factor: number): LatentMask {
  const [w, h] = [width / factor, height / factor];
  const out = new Float32Array(w * h);
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++) {
      if (kind === "hard") {
        out[y * w + x] = shares[y * factor * width + x * factor]!;
        continue;
      }
      let sum = 0;
      for (let dy = 0; dy < factor; dy++)
        for (let dx = 0; dx < factor; dx++) sum += shares[(y * factor + dy) * width + x * factor + dx]!;
      out[y * w + x] = sum / factor ** 2;
    }
  return { shares: out, soft: kind !== "hard" };
}

/** Share from which a UNet that fills masks takes a pixel for masked: it is told of no half ones. */
const MASKED = { hard: 0.5, edge: 0.5, soft: 0.05 };

/** What a UNet that fills masks is told of a mask: 0 or 1 for each pixel. */
export const filledMask = (mask: StartMask): StartMask => ({
  ...mask,
  kind: "hard",
  shares: mask.shares.map((share) => Number(share >= MASKED[mask.kind])),
});
