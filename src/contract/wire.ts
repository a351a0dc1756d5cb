import { z } from "zod";
import { UserError } from "../core/errors.ts";
import type { NumberedEvent, RunLatents } from "./events.ts";
import { photoJson } from "./photo.ts";
import { writtenSeed } from "./seed.ts";

const id = z.int().min(0).meta({ description: "number of the event within its generation, from 0" });
const count = z.number().min(0);
/** Where a PNG is to be had: an address, or a data URL. */
const png = z.string().min(1).meta({ description: "where the PNG is to be had: an address, or a data URL that holds it" });

const timings = z.strictObject({
  load: z.record(z.string(), count),
  encode: count,
  evaluations: z.array(count),
  decode: count,
  total: count,
});

const wireEvent = z.discriminatedUnion("type", [
  z.strictObject({
    id,
    type: z.literal("progress"),
    phase: z.enum(["load", "prepare", "encode", "denoise", "decode"]),
    detail: z.string().optional(),
    step: count,
    steps: count,
    secondsLeft: count.optional(),
  }),
  z.strictObject({ id, type: z.literal("preview"), step: z.int().min(0), images: z.array(png) }),
  z.strictObject({
    id,
    type: z.literal("notice"),
    notice: z.strictObject({ code: z.string(), message: z.string() }),
  }),
  z.strictObject({
    id,
    type: z.literal("image"),
    index: z.int().min(0),
    png,
    width: z.int().min(1),
    height: z.int().min(1),
    seed: writtenSeed,
    settings: z.record(z.string(), z.json()),
  }),
  z.strictObject({
    id,
    type: z.literal("done"),
    seed: writtenSeed,
    timings,
    modelMemory: count,
    /** Where the latents are to be had. */
    latents: z.string().min(1).optional(),
  }),
]);

/** An event as plain JSON: pictures are named, or are data URLs; latents are named or left out. */
export type WireEvent = z.output<typeof wireEvent>;
export const WireEvent = wireEvent;

/** How bytes are called where they are not carried along. */
export interface WireNames {
  /** Such as the address at which a server shows a picture of this request. Data URLs when absent. */
  readonly image?: (png: Uint8Array, index: number) => string;
  /** As `image`, of a picture as it stands after `step`. */
  readonly preview?: (png: Uint8Array, index: number, step: number) => string;
  /** Latents are left out when absent. */
  readonly latents?: (latents: RunLatents) => string;
}

/** An event as it goes over a wire. */
export function toWire(event: NumberedEvent, { image = photoJson, preview = photoJson, latents }: WireNames = {}): WireEvent {
  switch (event.type) {
    case "progress":
      return event;
    case "notice": {
      const { code, message } = event.notice;
      return { id: event.id, type: event.type, notice: { code, message } };
    }
    case "preview":
      return { ...event, images: event.images.map((bytes, index) => preview(bytes, index, event.step)) };
    case "image":
      return { ...event, png: image(event.png, event.index), settings: jsonOf(event.settings) };
    case "done": {
      const { latents: numbers, timings: took, ...rest } = event;
      const seconds = { ...took, load: { ...took.load }, evaluations: [...took.evaluations] };
      return { ...rest, timings: seconds, ...(latents !== undefined && { latents: latents(numbers) }) };
    }
  }
}

/** Settings are plain JSON but for what is undefined in them. */
const jsonOf = (settings: Readonly<Record<string, unknown>>): Record<string, z.core.util.JSONType> =>
  JSON.parse(JSON.stringify(settings)) as Record<string, z.core.util.JSONType>;

const wireError = z.strictObject({ code: z.string(), message: z.string(), remedy: z.string() });

/** What went wrong, as it goes over a wire. `code` is one of `ERROR_CODES`, of an option's faults, "interrupted" or "internal". */
export type WireError = z.output<typeof wireError>;
export const WireError = wireError;

/** An error for whoever asked. Of a fault of the program nothing is told that could speak of the machine: that belongs in a log. */
export function toWireError(error: unknown): WireError {
  if (error instanceof UserError) return { code: error.code, message: error.message, remedy: error.remedy };
  if (error instanceof Error && error.name === "AbortError")
    return { code: "interrupted", message: "The work was stopped.", remedy: "Ask for it again when you like." };
  return { code: "internal", message: "photomaker has a fault.", remedy: "Please report it, with what was asked for." };
}
