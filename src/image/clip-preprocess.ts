import { atOnce, inTurns, type Steps } from "../core/steps.ts";
import { resizeInSteps } from "./resize.ts";
import type { Rgb8 } from "./rgb8.ts";

const MEAN = [0.48145466, 0.4578275, 0.40821073] as const;
const STD = [0.26862954, 0.26130258, 0.27577711] as const;

/**
 * Preprocesses a photo for CLIP's vision model: shortest side to `size` (bicubic), centre crop, normalised.
 * Gives the same float32 values as transformers' CLIPImageProcessor with its defaults.
 *
 * @param size pixels; 224 for ViT-L/14
 * @returns [3, size, size]
 * @see transformers 4.56.2 src/transformers/models/clip/image_processing_clip.py
 */
export async function clipPreprocess(photo: Rgb8, size = 224): Promise<Float32Array> {
  return clipNormalise(await inTurns(cropInSteps(photo, size))); // a photo of 12 megapixels takes a fifth of a second
}

/** Normalises a square that has the encoder's size already: [3, size, size]. */
export function clipNormalise({ data, width, height }: Rgb8): Float32Array {
  const area = width * height;
  const out = new Float32Array(3 * area);
  for (const channel of [0, 1, 2] as const) {
    const normalised = normalise(MEAN[channel], STD[channel]);
    for (let i = 0; i < area; i++) out[channel * area + i] = normalised[data[i * 3 + channel]!]!;
  }
  return out;
}

/** Table of the 256 normalised values. */
function normalise(mean: number, std: number): Float32Array {
  const f = Math.fround;
  return Float32Array.from({ length: 256 }, (_, value) => f(f(value * (1 / 255)) - f(mean)) / f(std));
}

/** The centre crop that {@link clipPreprocess} normalises, `size` x `size`. */
export const clipCrop = (photo: Rgb8, size = 224): Rgb8 => atOnce(cropInSteps(photo, size));

function cropInSteps(photo: Rgb8, size: number): Steps<Rgb8> {
  const long = (side: number, short: number): number => Math.trunc((size * side) / short);
  const upright = photo.width <= photo.height;
  const width = upright ? size : long(photo.width, photo.height);
  const height = upright ? long(photo.height, photo.width) : size;
  const left = Math.floor((width - size) / 2);
  const top = Math.floor((height - size) / 2);
  return resizeInSteps(photo, width, height, "bicubic", { left, top, width: size, height: size });
}
