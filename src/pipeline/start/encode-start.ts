import { floats } from "../../core/array.ts";
import { fromPicture } from "../../image/index.ts";
import type { LazySession, LoadObserver } from "../../sessions/lazy-session.ts";
import { type Plane, tiled } from "../decode/tiles.ts";
import { filledMask, type LatentMask, latentMaskOf, type StartMask } from "./start-mask.ts";
import type { StartPicture } from "./start-picture.ts";

/** The VAE's encoder. */
export interface PictureEncoder {
  /** Pixels for each latent, along a side. */
  readonly factor: number;
  readonly channels: number;
  readonly session: LazySession<"mean" | "logVariance">;
  /** @throws UserError weights/missing, weights/shape, if the file of the VAE has no whole encoder */
  check(): void;
}

/** The distribution that the VAE gives for a picture's latents: Kingma & Welling 2013 (arXiv 1312.6114). [C, h, w], not scaled. */
export interface Posterior {
  readonly mean: Float32Array;
  readonly deviation: Float32Array;
}

/** What a drawing starts from. */
export interface EncodedStart {
  readonly picture: Posterior;
  /** The picture without what may change, for a UNet that fills masks. */
  readonly masked: Posterior | undefined;
  readonly mask: LatentMask | undefined;
}

/** Largest number of pixels that is encoded in one piece; area and overlap of tiles, in latents. */
const LARGEST_WHOLE = 1024 * 1024;
const TILES = { area: 128 * 128, overlap: 16 };

/**
 * Encodes a picture, in tiles when it is large. Tiles are cut from the picture in blocks of `factor` pixels, so that each starts at a whole latent.
 * @param pixels [3, H, W] in [-1, 1], whose sides are multiples of the factor
 */
export async function encodePixels(
  { factor, channels, session }: Pick<PictureEncoder, "factor" | "channels" | "session">,
  { width, height, data }: Plane,
  observer: LoadObserver,
  { largestWhole, tiles } = { largestWhole: LARGEST_WHOLE, tiles: TILES },
): Promise<Posterior> {
  const loaded = await session.get(observer);
  const run = async (tile: Plane): Promise<Plane> => {
    const pixels = inPixels(tile, factor);
    const { mean, logVariance } = await loaded.run({ pixels: floats(pixels.data, 1, 3, pixels.height, pixels.width) });
    const both = new Float32Array(2 * mean.data.length);
    both.set(mean.data as Float32Array);
    both.set(logVariance.data as Float32Array, mean.data.length);
    return { channels: 2 * channels, height: tile.height, width: tile.width, data: both };
  };
  const blocks = inBlocks({ channels: 3, width, height, data }, factor);
  const { data: both } = width * height <= largestWhole ? await run(blocks) : await tiled(blocks, run, tiles);
  const half = both.length / 2;
  // the range is diffusers' (DiagonalGaussianDistribution)
  const deviation = both.subarray(half).map((v) => Math.exp(0.5 * Math.min(20, Math.max(-30, v))));
  return { mean: both.slice(0, half), deviation };
}

/** [3, H, W] as [3 f², H/f, W/f]. */
function inBlocks({ channels, height, width, data }: Plane, f: number): Plane {
  const [h, w] = [height / f, width / f];
  const out = new Float32Array(data.length);
  let at = 0;
  for (let c = 0; c < channels; c++)
    for (let dy = 0; dy < f; dy++)
      for (let dx = 0; dx < f; dx++)
        for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) out[at++] = data[(c * height + y * f + dy) * width + x * f + dx]!;
  return { channels: channels * f * f, height: h, width: w, data: out };
}

/** The inverse of {@link inBlocks}. */
function inPixels({ channels, height: h, width: w, data }: Plane, f: number): Plane {
  const [height, width, planes] = [h * f, w * f, channels / (f * f)];
  const out = new Float32Array(data.length);
  let at = 0;
  for (let c = 0; c < planes; c++)
    for (let dy = 0; dy < f; dy++)
      for (let dx = 0; dx < f; dx++)
        for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) out[(c * height + y * f + dy) * width + x * f + dx] = data[at++]!;
  return { channels: planes, height, width, data: out };
}

/** The picture with what is masked in grey, which is 0 for the VAE: as diffusers' StableDiffusionXLInpaintPipeline masks it. */
function maskedPixels(pixels: Float32Array, { shares }: StartMask): Float32Array {
  return pixels.map((v, i) => (shares[i % shares.length]! < 0.5 ? v : 0));
}

/**
 * Encodes what a drawing starts from.
 * @param fills whether the UNet takes mask and masked picture
 */
export async function encodeStart(
  encoder: PictureEncoder,
  { picture, mask }: Pick<StartPicture, "picture" | "mask">,
  fills: boolean,
  observer: LoadObserver,
): Promise<EncodedStart> {
  const pixels = fromPicture(picture);
  const { width, height } = picture;
  const encode = (data: Float32Array) => encodePixels(encoder, { channels: 3, width, height, data }, observer);
  return {
    picture: await encode(pixels),
    masked: fills && mask !== undefined ? await encode(maskedPixels(pixels, filledMask(mask))) : undefined,
    mask: mask && latentMaskOf(mask, encoder.factor),
  };
}
