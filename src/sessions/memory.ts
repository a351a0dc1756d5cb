import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";

/** How models are computed on the processor. */
export type ProcessorPrecision = "f32" | "int8";

/** What decides how much memory a model takes. */
export interface ModelSizes {
  /** Numbers in text encoders and ID encoder. */
  readonly encoders: readonly number[];
  readonly unet: number;
  /** Of the UNet's first block: 320 in SDXL. */
  readonly unetChannels: number;
}

export interface DecoderSizes {
  readonly numbers: number;
  /** At the picture's size: 128 in SDXL's VAE. */
  readonly channels: number;
  /** A tiny one is computed in float32 whatever the precision. */
  readonly tiny: boolean;
  /** Pixels that are decoded in one piece. */
  readonly pixels: number;
}

export interface Drawing {
  readonly precision: ProcessorPrecision;
  /** Latents that are evaluated at once, in all their rows. */
  readonly latents: number;
  readonly decoder: DecoderSizes;
  /** About one model at a time is in memory. */
  readonly unloadAfterUse: boolean;
}

/** Bytes. */
export interface MemoryNeed {
  /** Less cannot do. */
  readonly least: number;
  /** What was taken where there was enough. */
  readonly about: number;
}

/** Bytes of a number as it is held: in int8 with the layers that are not rounded. */
const HELD = { f32: 4, int8: 1.05 };
/** How many times a model's size is taken while it is loaded: in float32 while half precision is widened, in int8 when it is prepared. */
const LOADING = { f32: 1.17, int8: 1.4 };
/** Memory at work, in maps of the narrowest width in float32: a map of 1024x1024 is 21 MB in SDXL's UNet, and 537 MB in its VAE. */
const WORK = { unet: { least: 15, f32: 85, int8: 176 }, decoder: { least: 3, f32: 6, int8: 9.2 } };
/**
 * What an int8 decoder takes beside: ONNX Runtime gets memory in regions of up to 1 GB, and where its widest maps fill somewhat more than half of
 * one, the rest of some stays empty.
 */
const emptyIn = (widest: number): number => (widest > 2 ** 29 && widest < 0.75 * 2 ** 30 ? 1.8e9 : 0);
/** The process that asks: photos, pictures, program. */
const BESIDE = 0.3e9;

/**
 * The memory that drawing takes on the processor. The constants were fitted to what was measured: SDXL takes 12.3 GB for 512x512 in float32 and in
 * int8 6.7 GB for 1024x1024, 4.1 GB to be prepared; its VAE takes 5 GB for 1280x1280 in float32, and in int8 1.3 GB for 512x512, 2.3 for 704x704,
 * 4.8 for 768x768, 3.7 for 960x960 and 4.9 for 1024x1024 (`LARGEST_WHOLE`). `least` is below all that was ever measured.
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

/** Another way to draw, as a user asks for it: the best first. */
export interface Alternative {
  readonly what: string;
  readonly drawing: Drawing;
}

/**
 * Refuses what cannot fit, and says what hardly will.
 * @param available bytes, before anything was loaded
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
      `${problem}; with less than ${gb(least)} it cannot be drawn at all.`,
      remedy ?? "Close other programs, or take a smaller model or a machine with more memory.",
    );
  const message = `${problem}: it may be slow, or be ended by the system. ${remedy ?? "Closing other programs helps."}`;
  return [{ code: "memory/tight", message }];
}

export const gb = (bytes: number): string => `${bytes < 0.95e8 ? (bytes / 1e9).toFixed(3) : (bytes / 1e9).toFixed(1)} GB`;
