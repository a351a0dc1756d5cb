import type { GenerateRequest } from "../../contract/request.ts";
import type { Notice } from "../../core/notice.ts";
import type { DecoderGraph } from "../../sessions/graphs.ts";
import {
  type Alternative,
  checkMemory,
  type Drawing,
  type ModelSizes,
  memoryNeed,
  type ProcessorPrecision,
} from "../../sessions/memory.ts";
import { type Decoders, decoderOf, LARGEST_WHOLE, pixelsAtOnce, usualDecoder } from "../decode/decode.ts";
import { rowsAtOnce } from "../denoise/denoiser.ts";

export interface Picture {
  readonly width: number; // pixels
  readonly height: number;
  /** Rows of a UNet evaluation: one for each picture, two with guidance. */
  readonly rows: number;
}

/** Models and precision that the processor's memory must hold, and the available memory. */
export interface Room {
  readonly sizes: ModelSizes;
  readonly precision: ProcessorPrecision;
  /** Available memory before anything was loaded, in bytes. */
  readonly available: number;
}

interface How {
  readonly precision: ProcessorPrecision;
  readonly decoder: Pick<DecoderGraph, "parameters" | "channels">;
  readonly tiny: boolean;
  readonly unloadAfterUse: boolean;
}

/** Sizes of a drawing that determine its memory. @param factor pixels for each latent, along a side */
export function drawingOf(
  { width, height, rows }: Picture,
  factor: number,
  { precision, decoder, tiny, unloadAfterUse }: How,
): Drawing {
  const latents = (width * height) / factor ** 2;
  const pixels = pixelsAtOnce(LARGEST_WHOLE[tiny ? "f32" : precision], factor, width, height);
  return {
    precision,
    unloadAfterUse,
    latents: latents * Math.min(rows, rowsAtOnce(latents, "cpu")),
    decoder: { numbers: decoder.parameters, channels: decoder.channels, tiny, pixels },
  };
}

/** Memory need of a picture of the model's own size with guidance, in bytes by precision. @param sampleSize latents along a side */
export function usualNeed(
  sizes: ModelSizes,
  vae: DecoderGraph,
  sampleSize: number,
  unloadAfterUse: boolean,
): Readonly<Record<ProcessorPrecision, number>> {
  const side = sampleSize * vae.factor;
  const about = (precision: ProcessorPrecision): number => {
    const how = { precision, decoder: vae, tiny: false, unloadAfterUse };
    return memoryNeed(sizes, drawingOf({ width: side, height: side, rows: 2 }, vae.factor, how)).about;
  };
  return { f32: about("f32"), int8: about("int8") };
}

/** Size of TAESDXL's decoder, for the proposal of a tiny VAE where none is loaded. */
const TAESDXL = { parameters: 1.2e6, channels: 64 };
/** Sides of smaller pictures to propose, in pixels. */
const SIDES = [1024, 768, 512];

/**
 * Checks that a request's pictures fit into memory, before anything is loaded.
 * @returns a notice where memory is tight
 * @throws UserError memory/too-little
 */
export function checkRoom(
  { room, unloadAfterUse, ...decoders }: Decoders & { readonly room: Room | undefined; readonly unloadAfterUse: boolean },
  request: Pick<GenerateRequest, "decoder">,
  picture: Picture,
): readonly Notice[] {
  if (room === undefined) return [];
  const { precision, sizes, available } = room;
  const { vae, tinyVae } = decoders;
  const { decoder = usualDecoder(decoders) } = request;
  const withTiny = { decoder: tinyVae?.graph ?? TAESDXL, tiny: true };
  const how: How = {
    precision,
    unloadAfterUse,
    ...(decoder === "tiny-vae" ? withTiny : { decoder: decoderOf(decoders, { decoder }).graph, tiny: false }),
  };
  const drawing = (changed: Partial<How>, other = picture): Drawing => drawingOf(other, vae.graph.factor, { ...how, ...changed });
  const smaller = SIDES.filter((side) => side ** 2 < picture.width * picture.height).map((side) => ({
    flags: `--width ${side} --height ${side}`,
    picture: { ...picture, width: side, height: side },
  }));
  const kept: Alternative[] = [
    { what: "unloadAfterUse, in code", drawing: drawing({ unloadAfterUse: true }) },
    { what: `${tinyVae === undefined ? "--tiny-vae madebyollin/taesdxl " : ""}--decoder tiny-vae`, drawing: drawing(withTiny) },
    ...smaller.map(({ flags, picture }) => ({ what: flags, drawing: drawing({}, picture) })),
  ];
  const eight: Alternative[] = [
    { what: "--precision int8", drawing: drawing({ precision: "int8" }) },
    ...smaller.map(({ flags, picture }) => ({
      what: `--precision int8 ${flags}`,
      drawing: drawing({ precision: "int8" }, picture),
    })),
  ];
  return checkMemory(
    sizes,
    drawing({}),
    precision === "f32" ? [...eight.slice(0, 1), ...kept, ...eight.slice(1)] : kept,
    available,
  );
}
