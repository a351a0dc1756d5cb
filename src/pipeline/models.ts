import type { LoadOptions } from "../contract/request.ts";
import type { Device } from "../runtime/device.ts";
import type { EncodingCache } from "../sessions/encoding-cache.ts";
import type { DecoderGraph, UNetGraph } from "../sessions/graphs.ts";
import type { LazySession } from "../sessions/lazy-session.ts";
import type { ModelSizes, ProcessorPrecision } from "../sessions/memory.ts";
import type { Reader } from "../sessions/text/prompts.ts";
import type { TextEncoder } from "../sessions/text/text-stage.ts";
import type { UNetSessions } from "../sessions/unet-sessions.ts";
import type { IdEncoder } from "./encode/id-stage.ts";
import type { Detected } from "./load/few-step.ts";

export interface Decoder {
  readonly graph: DecoderGraph;
  readonly session: LazySession<"picture">;
  /** Pixels of a picture that is decoded in one piece. */
  readonly largestWhole: number;
}

export interface Room {
  readonly sizes: ModelSizes;
  readonly precision: ProcessorPrecision;
  /** Bytes, before anything was loaded. */
  readonly available: number;
}

/** Everything that a request needs, loaded or yet to be loaded. */
export interface Models {
  readonly options: LoadOptions;
  readonly device: Device;
  /** Whether encoders run in a process of their own, beside which the denoiser can be loaded. */
  readonly apart: boolean;
  /** What the processor's memory is to hold; absent on a graphics card, which does not tell its memory. */
  readonly room: Room | undefined;
  /** The most memory that the models have taken, in bytes. */
  readonly memory: () => number;
  /** The model's scheduler_config.json. */
  readonly scheduler: unknown;
  /** What was recognised as a model of few steps: its settings are the defaults. */
  readonly fewStep: Detected | undefined;
  /** Whether no negative prompt means zeros (force_zeros_for_empty_prompt). */
  readonly emptyIsNothing: boolean;
  /** Encodings of these models. */
  readonly cache: EncodingCache;
  readonly readers: readonly [Reader, Reader];
  readonly text: readonly [TextEncoder, TextEncoder];
  readonly identity: (IdEncoder & { readonly everyToken: boolean }) | undefined;
  readonly unet: { readonly graph: UNetGraph; readonly sessions: UNetSessions };
  readonly vae: Decoder;
  readonly tinyVae: Decoder | undefined;
}
