import type { Notice } from "../core/notice.ts";
import type { Seed } from "./seed.ts";

/** Phase of the pipeline. `load` repeats whenever another model is needed; `prepare`, counted in bytes, is part of it when a model is first used in 8 bits. */
export type Phase = "load" | "prepare" | "encode" | "denoise" | "decode";

export interface ProgressEvent {
  readonly type: "progress";
  readonly phase: Phase;
  /** Name of what is being loaded or encoded, such as "unet". */
  readonly detail?: string;
  /** Steps done, out of `steps`. */
  readonly step: number;
  readonly steps: number;
  /** Estimated seconds to the end of this phase, from the steps so far. */
  readonly secondsLeft?: number;
}

/** The current state of each picture: decoded by the tiny VAE or a small VAE, otherwise approximated in latent resolution. */
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
  /** Everything needed to make the picture again, except the folders of files; also stored in the PNG. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** How similar its largest face is to the photos, where that was asked for. */
  readonly likeness?: Likeness;
}

/** Similarity of a picture's largest face to the faces in the photos: cosines of a recogniser's vectors. */
export interface Likeness {
  /** Mean over the photos; null where the picture or the photos have no face. */
  readonly similarity: number | null;
  /** Of each photo with a face. */
  readonly photos: readonly number[];
  /** The recogniser that judges: the one that this package ships, or that of a pack. */
  readonly recogniser: "dlib" | "arcface";
  /** From this cosine on two faces are taken for one person's. */
  readonly same: number;
  /** The recogniser that has compared faces of the photos to choose the person's. */
  readonly facesChosenBy: "dlib";
}

/** Seconds that each part took. */
export interface Timings {
  /** Time spent waiting for each model to load, by name; a model that was already loaded is absent. */
  readonly load: Readonly<Record<string, number>>;
  readonly encode: number;
  /** Each evaluation of the denoiser. */
  readonly evaluations: readonly number[];
  readonly decode: number;
  readonly total: number;
}

/** Latents at the beginning and at the end of a run, before the decoder. */
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
  /** Peak memory of the process that runs the models since they were opened, in bytes. */
  readonly modelMemory: number;
  readonly latents: RunLatents;
}

/** Index of the request that an event belongs to, where several are drawn at once; absent when the event concerns all of them. */
export interface OfRequest {
  /** 0-based among the requests. */
  readonly request?: number;
}

/** Event of a generation. */
export type GenerateEvent = (ProgressEvent | PreviewEvent | NoticeEvent | ImageEvent | DoneEvent) & OfRequest;

export type Numbered<Event> = Event extends unknown ? Event & { readonly id: number } : never;

/** An event as callers receive it: numbered from 0 within its generation, so that a client that lost its connection can resume. */
export type NumberedEvent = Numbered<GenerateEvent>;

/** Complete result of a request. */
export interface GenerateResult {
  readonly images: readonly ImageEvent[];
  readonly seed: Seed;
  readonly notices: readonly Notice[];
  readonly timings: Timings;
  readonly latents: RunLatents;
}
