import { type Rgb8, rgb8 } from "./rgb8.ts";

const WEIGHTS = [
  [60, -60, 25, -70],
  [60, -5, 15, -50],
  [60, 10, -5, -35],
] as const;
const BIASES = [150, 140, 130] as const;

/**
 * Approximates the picture of SDXL latents without the VAE: one pixel for each latent, its colour a linear map of the four channels.
 * Good for showing progress; colours are only close to those of the decoded picture, and wrong for another VAE.
 *
 * @param latents [4, height, width] in the sampler's scale (the VAE's scaling factor not yet divided out)
 * @see the fit by T. A. Vass, "Explaining the SDXL latent space" (Hugging Face blog), as in
 *   diffusers 58eb52c docs/source/en/using-diffusers/callback.md
 */
export function previewLatents(latents: Float32Array, width: number, height: number): Rgb8 {
  const area = width * height;
  if (latents.length !== 4 * area) throw new TypeError(`${latents.length} values do not fill [4, ${height}, ${width}]`);
  const data = new Uint8ClampedArray(3 * area); // clamps to 0..255, and shows NaN as black
  for (let i = 0; i < area; i++)
    for (let c = 0; c < 3; c++) {
      let value: number = BIASES[c]!;
      for (let k = 0; k < 4; k++) value += WEIGHTS[c]![k]! * latents[k * area + i]!;
      data[i * 3 + c] = Math.trunc(value);
    }
  return rgb8(width, height, new Uint8Array(data.buffer));
}
