import type { Notice } from "../core/notice.ts";
import type { Seed } from "./seed.ts";

/** What the pipeline is doing. `load` comes again whenever another model is needed, and within it `prepare`, in bytes, the first time in 8 bits. */
export type Phase = "load" | "prepare" | "encode" | "denoise" | "decode";

export interface ProgressEvent {
  readonly type: "progress";
  readonly phase: Phase;
  /** What is being loaded or encoded, such as "unet". */
  readonly detail?: string;
  /** Steps done, of how many. */
  readonly step: number;
  readonly steps: number;
  /** Seconds to the end of this phase, as far as the steps so far tell. */
  readonly secondsLeft?: number;
}

/** The picture as it stands: decoded by the tiny VAE or a small one; without, a cheap approximation in latent resolution. */
export interface PreviewEvent {
  readonly type: "preview";
  readonly step: number;
  /** One PNG for each picture. */
  readonly images: readonly Uint8Array[];
}

export interface NoticeEvent {
  readonly type: "notice";
  readonly notice: Notice;
}

export interface ImageEvent {
  readonly type: "image";
  /** 0-based among the pictures of this request. */
  readonly index: number;
  readonly png: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly seed: Seed;
  /** All that is needed to make the picture again, but for the places of files: also in the PNG. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** Seconds that each part took. */
export interface Timings {
  /** What was waited for the loading of each model, by name; absent where it was loaded before the request. */
  readonly load: Readonly<Record<string, number>>;
  readonly encode: number;
  /** Each evaluation of the denoiser. */
  readonly evaluations: readonly number[];
  readonly decode: number;
  readonly total: number;
}

/** What a run began with and what it ended with, before the decoder. */
export interface RunLatents {
  readonly initialNoise: Float32Array;
  readonly final: Float32Array;
  /** [pictures, channels, height, width] */
  readonly dims: readonly number[];
}

export interface DoneEvent {
  readonly type: "done";
  readonly seed: Seed;
  readonly timings: Timings;
  /** The most memory that the process of the models has held since they were opened, in bytes. */
  readonly modelMemory: number;
  readonly latents: RunLatents;
}

/** Names the request that an event is about, where several are drawn at once; absent when it is about all of them. */
export interface OfRequest {
  /** 0-based among the requests. */
  readonly request?: number;
}

/** What happens while pictures are made. */
export type GenerateEvent = (ProgressEvent | PreviewEvent | NoticeEvent | ImageEvent | DoneEvent) & OfRequest;

type Numbered<Event> = Event extends unknown ? Event & { readonly id: number } : never;

/** An event as callers get it: numbered from 0 within its generation, so that whoever lost the line can say where to go on. */
export type NumberedEvent = Numbered<GenerateEvent>;

/** All that a request gave. */
export interface GenerateResult {
  readonly images: readonly ImageEvent[];
  readonly seed: Seed;
  readonly notices: readonly Notice[];
  readonly timings: Timings;
  readonly latents: RunLatents;
}
