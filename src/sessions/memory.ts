import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";

/** Precision of models on the processor. */
export type ProcessorPrecision = "f32" | "int8";

/** Sizes that determine the memory of a model. */
export interface ModelSizes {
  /** Parameters of each text encoder and of the ID encoder. */
  readonly encoders: readonly number[];
  readonly unet: number;
  /** Channels of the UNet's first block: 320 in SDXL. */
  readonly unetChannels: number;
}

export interface DecoderSizes {
  readonly numbers: number;
  /** Channels at the picture's size: 128 in SDXL's VAE. */
  readonly channels: number;
  /** Whether it is a tiny VAE, which is computed in float32 in every precision. */
  readonly tiny: boolean;
  /** Pixels that are decoded in one piece. */
  readonly pixels: number;
}

export interface Drawing {
  readonly precision: ProcessorPrecision;
  /** Latents that are evaluated at once, in all rows together. */
  readonly latents: number;
  readonly decoder: DecoderSizes;
  /** Whether about one model at a time is in memory. */
  readonly unloadAfterUse: boolean;
}

/** Memory need, in bytes. */
export interface MemoryNeed {
  /** Lower bound: with less, drawing is impossible. */
  readonly least: number;
  /** Memory taken where enough is available. */
  readonly about: number;
}

/** Bytes in memory for each parameter; int8 includes the layers that are not rounded. */
const HELD = { f32: 4, int8: 1.05 };
/** Peak while a model is loaded, relative to its size: float32 while half precision is widened, int8 while it is prepared. */
const LOADING = { f32: 1.17, int8: 1.4 };
/** Memory of activations, in feature maps of the fewest channels in float32: for 1024x1024, one is 21 MB in SDXL's UNet and 537 MB in its VAE. */
const WORK = { unet: { least: 15, f32: 85, int8: 176 }, decoder: { least: 3, f32: 6, int8: 9.2 } };
/**
 * Unused memory of an int8 decoder, in bytes: ONNX Runtime allocates regions of up to 1 GB, and where the largest feature map fills somewhat more
 * than half of one, the rest of some regions stays empty.
 * @param widest bytes of the largest feature map
 */
const emptyIn = (widest: number): number => (widest > 2 ** 29 && widest < 0.75 * 2 ** 30 ? 1.8e9 : 0);
/** Memory of the main process: photos, pictures, program. */
const BESIDE = 0.3e9;

/**
 * Estimates the memory that drawing takes on the processor. The constants are fitted to measurements: SDXL takes 12.4 GB for 512x512 in float32 (all processes, looked at
 * twice a second; the sum of their own peaks, which a gauge adds up, is 15.7);
 * in int8 6.7 GB for 1024x1024, and 4.1 GB while it is prepared. Its VAE takes 5 GB for 1280x1280 in float32; in int8 1.3 GB for 512x512,
 * 2.3 for 704x704, 4.8 for 768x768, 3.7 for 960x960 and 4.9 for 1024x1024 (`LARGEST_WHOLE`). `least` is below every measurement.
 */
export function memoryNeed(model: ModelSizes, { precision, latents, decoder, unloadAfterUse }: Drawing): MemoryNeed {
  const held = (numbers: number): number => numbers * HELD[precision];
  const decoderIn = decoder.tiny ? "f32" : precision;
  const encoders = model.encoders.map(held);
  const [unet, decoding] = [held(model.unet), decoder.numbers * HELD[decoderIn]];
  const unetMap = model.unetChannels * 4 * latents;
  const decoderMap = decoder.channels * 4 * decoder.pixels;
  const least = Math.max(...encoders, unet + WORK.unet.least * unetMap, decoding + WORK.decoder.least * decoderMap);
  const loading = [...encoders, unet].map((bytes) => bytes * LOADING[precision]);
  const empty = decoderIn === "int8" ? emptyIn(2 * decoderMap) : 0;
  const work = [unet + WORK.unet[precision] * unetMap, decoding + WORK.decoder[decoderIn] * decoderMap + empty];
  if (unloadAfterUse) return { least, about: Math.max(...loading, ...work) + BESIDE };
  const others = encoders.reduce((sum, bytes) => sum + bytes, 0);
  return { least, about: others + Math.max(...loading, work[0]!, unet + work[1]!) + BESIDE };
}

/** An alternative way to draw, with the option that asks for it. */
export interface Alternative {
  readonly what: string;
  readonly drawing: Drawing;
}

/**
 * Refuses a drawing that cannot fit into memory, and warns about one that hardly does.
 * @param alternatives the best first
 * @param available bytes of available memory, before anything was loaded
 * @throws UserError memory/too-little
 */
export function checkMemory(
  model: ModelSizes,
  drawing: Drawing,
  alternatives: readonly Alternative[],
  available: number,
): readonly Notice[] {
  const { least, about } = memoryNeed(model, drawing);
  if (about <= available) return [];
  const fits = alternatives
    .map(({ what, drawing }) => ({ what, need: memoryNeed(model, drawing) }))
    .filter(({ need }) => need.about <= available)
    .slice(0, 3)
    .map(({ what, need }) => `${what} (about ${gb(need.about)})`);
  const remedy = fits.length > 0 ? `This would fit: ${fits.join("; ")}.` : undefined;
  const problem = `This needs about ${gb(about)} of memory in ${drawing.precision}, and ${gb(available)} are available`;
  if (least > available)
    throw new UserError(
      "memory/too-little",
      `${problem}; it cannot be drawn with less than ${gb(least)}.`,
      remedy ?? "Close other programs, or take a smaller model or a machine with more memory.",
    );
  const message = `${problem}: it may be slow, or the system may end it. ${remedy ?? "Closing other programs helps."}`;
  return [{ code: "memory/tight", message }];
}

export const gb = (bytes: number): string => `${bytes < 0.95e8 ? (bytes / 1e9).toFixed(3) : (bytes / 1e9).toFixed(1)} GB`;
