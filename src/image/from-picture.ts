import type { Rgb8 } from "./rgb8.ts";

/**
 * Converts a picture to the VAE's input: 2x/255 - 1 in float32.
 *
 * @returns [3, height, width], -1..1
 * @see diffusers 0.35.2 src/diffusers/image_processor.py VaeImageProcessor.preprocess
 */
export function fromPicture({ width, height, data }: Rgb8): Float32Array {
  const area = width * height;
  const out = new Float32Array(3 * area);
  for (let channel = 0; channel < 3; channel++)
    for (let i = 0; i < area; i++) out[channel * area + i] = 2 * Math.fround(data[i * 3 + channel]! / 255) - 1;
  return out;
}
