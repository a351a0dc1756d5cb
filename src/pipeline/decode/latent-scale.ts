import { SDXL_SCALING_FACTOR } from "../../models/vae-config.ts";
import type { DecoderGraph } from "../../sessions/graphs.ts";
import type { Plane } from "./tiles.ts";

type Scale = Pick<DecoderGraph["config"], "scalingFactor" | "shiftFactor" | "latentsMean" | "latentsStd">;

/**
 * Latents as the VAE decodes them.
 * @param latents [C, h, w] in the denoiser's scale
 * @see diffusers 0.35.2 StableDiffusionXLPipeline, "unscale/denormalize the latents"
 */
export function unscaled(
  { data, channels }: Pick<Plane, "data" | "channels">,
  { scalingFactor, shiftFactor, latentsMean, latentsStd }: Scale,
): Float32Array {
  if (latentsMean === undefined || latentsStd === undefined) return data.map((v) => v / scalingFactor + shiftFactor);
  const area = data.length / channels;
  return data.map((v, i) => {
    const channel = Math.floor(i / area);
    return (v * latentsStd[channel]!) / scalingFactor + latentsMean[channel]!;
  });
}

/** Latents in the scale of SDXL's denoiser, of a model whose latents have another, and whose VAE is SDXL's. */
export const inScaleOfSdxl = (latents: Pick<Plane, "data" | "channels">, own: Scale): Float32Array =>
  unscaled(latents, own).map((v) => v * SDXL_SCALING_FACTOR);

/** Scale of a tiny autoencoder for SDXL's latents, beside a VAE whose latents have a mean and deviation of their own. */
export function tinyScale(tiny: Scale, { scalingFactor, latentsMean, latentsStd }: Scale): Scale {
  if (latentsMean === undefined || latentsStd === undefined) return tiny;
  return {
    ...tiny,
    latentsMean: latentsMean.map((mean) => (mean * SDXL_SCALING_FACTOR) / tiny.scalingFactor + tiny.shiftFactor),
    latentsStd: latentsStd.map((deviation) => (deviation * SDXL_SCALING_FACTOR) / scalingFactor),
  };
}
