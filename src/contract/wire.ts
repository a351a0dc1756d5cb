import { z } from "zod";
import { UserError } from "../core/errors.ts";
import { NOTICE_CODES, type NoticeCode } from "../core/notice-codes.ts";
import type { NumberedEvent, RunLatents } from "./events.ts";
import { photoJson } from "./photo.ts";
import { writtenSeed } from "./seed.ts";

const id = z.int().min(0).meta({ description: "number of the event within its generation, from 0" });
const count = z.number().min(0);
/** Location of a PNG: an address, or a data URL. */
const png = z.string().min(1).meta({ description: "location of the PNG: an address, or a data URL that holds it" });

const noticeCodes = Object.keys(NOTICE_CODES) as [NoticeCode, ...NoticeCode[]];

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
    notice: z.strictObject({ code: z.enum(noticeCodes), message: z.string() }),
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
    /** Address of the latents. */
    latents: z.string().min(1).optional(),
  }),
]);

/** An event as plain JSON: pictures are addresses or data URLs, latents an address or left out. */
export type WireEvent = z.output<typeof wireEvent>;
export const WireEvent = wireEvent;

/** Gives addresses to bytes that an event does not carry itself. */
export interface WireNames {
  /** Address of a picture of this request. Data URLs when absent. */
  readonly image?: (png: Uint8Array, index: number) => string;
  /** Address of a preview after `step`. Data URLs when absent. */
  readonly preview?: (png: Uint8Array, index: number, step: number) => string;
  /** Address of the latents. They are left out when absent. */
  readonly latents?: (latents: RunLatents) => string;
}

/** Converts an event to its wire form. */
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

/** Removes undefined values from settings, which are plain JSON otherwise. */
const jsonOf = (settings: Readonly<Record<string, unknown>>): Record<string, z.core.util.JSONType> =>
  JSON.parse(JSON.stringify(settings)) as Record<string, z.core.util.JSONType>;

const wireError = z.strictObject({ code: z.string(), message: z.string(), remedy: z.string() });

/** Wire form of an error. `code` is one of `ERROR_CODES`, an option's fault, "interrupted" or "internal". */
export type WireError = z.output<typeof wireError>;
export const WireError = wireError;

/** Converts an error to its wire form. An internal fault is reported without details, which may concern the machine and belong in a log. */
export function toWireError(error: unknown): WireError {
  if (error instanceof UserError) return { code: error.code, message: error.message, remedy: error.remedy };
  if (error instanceof Error && error.name === "AbortError")
    return { code: "interrupted", message: "The work was stopped.", remedy: "Ask for it again when you like." };
  return { code: "internal", message: "Internal error.", remedy: "Please report it, with what was asked for." };
}
