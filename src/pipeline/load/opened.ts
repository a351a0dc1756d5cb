import type { LoadOptions } from "../../contract/request.ts";
import type { UNetGraph } from "../../sessions/graphs.ts";
import type { UNetSessions } from "../../sessions/unet-sessions.ts";
import type { Decoders } from "../decode/decode.ts";
import type { Denoiser } from "../denoise/denoise.ts";
import type { Encoders } from "../encode/encode.ts";
import type { Room } from "./check-room.ts";
import type { Detected } from "./few-step.ts";

/** All that a load opens. Only whoever hands it on takes the whole: each function takes the part that it needs. */
export interface Opened extends Encoders, Denoiser, Decoders {
  readonly options: LoadOptions;
  readonly unet: { readonly graph: UNetGraph; readonly sessions: UNetSessions };
  readonly vae: Decoders["vae"];
  readonly tinyVae: Decoders["tinyVae"];
  readonly unloadAfterUse: boolean;
  /** Whether encoders run in a process of their own, beside which the denoiser can be loaded. */
  readonly apart: boolean;
  /** Absent on a graphics card, which does not tell its memory. */
  readonly room: Room | undefined;
  /** The most memory that the models have taken, in bytes. */
  readonly memory: () => number;
  /** The model's scheduler_config.json. */
  readonly scheduler: unknown;
  /** What was recognised as a model of few steps: its settings are the defaults. */
  readonly fewStep: Detected | undefined;
}
