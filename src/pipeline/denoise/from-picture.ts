import type { NormalSource } from "../../core/random/normal-source.ts";
import type { Latents, Sampler } from "../../samplers/sampler.ts";
import type { EncodedStart, Posterior } from "../start/encode-start.ts";

/** What is known of one request's start, before its noise is drawn. */
export interface StartOf {
  readonly start: EncodedStart;
  /** What a UNet that fills masks is told of the mask: [h, w]; absent for another UNet. */
  readonly filled: Float32Array | undefined;
  /** Share of the steps that are taken. */
  readonly strength: number;
  /** Number of pictures. */
  readonly images: number;
}

/** One request's start, sampled. */
export interface SampledStart extends StartOf {
  /** [C, h, w], in the denoiser's scale */
  readonly original: Latents;
  /** Latents of the masked picture, as above, for a UNet that fills masks. */
  readonly masked: Latents | undefined;
}

/**
 * Samples a start, with draws in the order of diffusers' pipelines: of the picture, of the noise, and with a mask of the masked picture,
 * which is drawn where it is not used as well. All pictures of a request share those of the start.
 * @param scaled latents in the denoiser's scale
 * @param drawNoise draws the noise of all pictures
 * @see diffusers 0.35.2 StableDiffusionXLImg2ImgPipeline and StableDiffusionXLInpaintPipeline, prepare_latents and prepare_mask_latents
 */
export async function sampleStart(
  of: StartOf,
  source: NormalSource,
  scaled: (latents: Latents) => Latents,
  drawNoise: () => Promise<Latents>,
): Promise<{ readonly sampled: SampledStart; readonly noise: Latents }> {
  const { start, filled, strength } = of;
  const draw = ({ mean, deviation }: Posterior): Latents => {
    const noise = source.randn(mean.length);
    return scaled(mean.map((v, i) => v + deviation[i]! * noise[i]!));
  };
  // a UNet that fills masks has no use for the picture itself if it begins with noise
  const unseen = filled !== undefined && strength === 1 && start.mask?.soft === false;
  const original = unseen ? scaled(start.picture.mean) : draw(start.picture);
  const noise = await drawNoise();
  const masked = start.mask === undefined ? undefined : draw(start.masked ?? start.picture);
  return { sampled: { ...of, original, masked: filled && masked }, noise };
}

/** A run that begins with given pictures. */
export interface Begun {
  readonly latents: Latents;
  /** Index of the first evaluation. */
  readonly from: number;
  /** Restores what masks keep, in the latents of a query; absent without anything to be kept. */
  readonly putBack?: (latents: Latents, index: number) => Latents;
  /** The same in the final latents. */
  readonly finish: (latents: Latents) => Latents;
  /** Channels that the UNet takes beside the latents: [pictures, mask and masked picture, h, w]. */
  readonly beside: Float32Array | undefined;
}

/**
 * Begins a run with pictures. A mask with grey parts is differential diffusion (Levin & Fried 2023, arXiv 2306.00950): what may change by the
 * share c is the noised original until the share 1 - c of the steps.
 * @param starts of all requests, in order
 * @param noise of all pictures
 * @param from index of the first evaluation
 */
export function beginFrom(starts: readonly SampledStart[], noise: Latents, sampler: Sampler, from: number): Begun {
  const total = sampler.timesteps.length;
  const each = starts.flatMap((one) => Array<SampledStart>(one.images).fill(one));
  const originals = joined(each.map(({ original }) => original));
  const size = noise.length / each.length;
  /** @param progress share of the run that is over; 1 at its end */
  const mix = (latents: Latents, known: Latents, progress: number): Latents => {
    const out = latents.slice();
    for (const [picture, { start, filled }] of each.entries()) {
      const { mask } = start;
      if (mask === undefined || (filled !== undefined && !mask.soft)) continue; // the UNet keeps the rest by itself
      for (let i = 0; i < size; i++) {
        const share = mask.shares[i % mask.shares.length]!;
        const keeps = progress === 1 ? share < LEAST : 1 - share > progress;
        if (keeps) out[picture * size + i] = known[picture * size + i]!;
      }
    }
    return out;
  };
  const puts = each.some(({ start: { mask }, filled }) => mask !== undefined && (filled === undefined || mask.soft));
  const noised = sampler.addNoise(originals, noise, from);
  const latents = noised.map((v, i) => {
    const { start, strength } = each[Math.floor(i / size)]!;
    // with a mask, a run of all steps begins with noise alone in diffusers
    return start.mask !== undefined && strength === 1 ? noise[i]! * sampler.initNoiseSigma : v;
  });
  return {
    latents,
    from,
    ...(puts && {
      putBack: (current: Latents, index: number) =>
        index === from ? current : mix(current, sampler.addNoise(originals, noise, index), (index - from) / (total - from)),
    }),
    finish: (last) => (puts ? mix(last, originals, 1) : last),
    beside: each[0]!.filled && joined(each.flatMap(({ filled, masked }) => [filled!, masked!])),
  };
}

/** A smaller share keeps latents to the end: half of a level of the mask. */
const LEAST = 1 / 510;

function joined(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
