import { UserError } from "../../core/errors.ts";
import { previewLatents, type Rgb8 } from "../../image/index.ts";
import type { LoadObserver } from "../../sessions/lazy-session.ts";
import { type Decoders, decodeLatents } from "./decode.ts";
import { inScaleOfSdxl } from "./latent-scale.ts";
import type { Plane } from "./tiles.ts";

/** Makes a preview of latents [C, h, w] in the sampler's scale. */
export type Preview = (latents: Plane) => Promise<Rgb8>;

/** The VAE whose latents the linear approximation was fitted to: Podell et al. 2023 (arXiv 2307.01952). */
const SDXL_VAE = { latentChannels: 4, scalingFactor: 0.13025, factor: 8 };
/** Parameters below which a decoder takes little of a step's time. */
const SMALL = 5_000_000;

/**
 * Chooses how previews are made: decoded by the tiny VAE if one is loaded; otherwise approximated for latents of SDXL's VAE, or decoded by
 * the model's VAE if that is small.
 * @throws UserError preview/no-decoder
 */
export function previewOf({ vae, tinyVae }: Decoders, observer: LoadObserver): Preview {
  if (tinyVae !== undefined) return (latents) => decodeLatents(tinyVae, latents, observer);
  const { config, factor, parameters } = vae.graph;
  // models of SDXL's kind whose latents have a mean and deviation, such as Playground 2.5, have SDXL's VAE
  if (config.latentsStd !== undefined && config.latentChannels === SDXL_VAE.latentChannels && factor === SDXL_VAE.factor)
    return async (latents) => previewLatents(inScaleOfSdxl(latents, config), latents.width, latents.height);
  const known = { latentChannels: config.latentChannels, scalingFactor: config.scalingFactor, factor };
  if (Object.entries(SDXL_VAE).every(([key, value]) => known[key as keyof typeof known] === value))
    return async ({ data, width, height }) => previewLatents(data, width, height);
  if (parameters < SMALL) return (latents) => decodeLatents(vae, latents, observer);
  throw new UserError(
    "preview/no-decoder",
    `There is no fast preview of this model's latents: its VAE is not SDXL's, and with ${Math.round(parameters / 1e6)} million parameters it is too large to run at every step.`,
    "Leave --preview out (preview in code), or give a tiny autoencoder for these latents with --tiny-vae (tinyVae in code).",
  );
}
