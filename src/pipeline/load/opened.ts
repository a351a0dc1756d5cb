import type { LoadOptions } from "../../contract/request.ts";
import type { UNetGraph } from "../../sessions/graphs.ts";
import type { UNetSessions } from "../../sessions/unet-sessions.ts";
import type { Decoders } from "../decode/decode.ts";
import type { Denoiser } from "../denoise/denoise.ts";
import type { Encoders } from "../encode/encode.ts";
import type { PictureEncoder } from "../start/encode-start.ts";
import type { Room } from "./check-room.ts";
import type { Detected } from "./few-step.ts";

/** Everything that loading opens. Functions that use it take only the part that they need. */
export interface Opened extends Encoders, Denoiser, Decoders {
  readonly options: LoadOptions;
  readonly unet: { readonly graph: UNetGraph; readonly sessions: UNetSessions };
  readonly vae: Decoders["vae"];
  readonly tinyVae: Decoders["tinyVae"];
  /** For pictures to start from. */
  readonly pictureEncoder: PictureEncoder;
  readonly sharp: Decoders["sharp"];
  readonly unloadAfterUse: boolean;
  /** Whether encoders run in a process of their own, so that the denoiser can be loaded meanwhile. */
  readonly apart: boolean;
  /** Absent on a graphics card, whose memory is not known. */
  readonly room: Room | undefined;
  /** Peak memory of the models, in bytes. */
  readonly memory: () => number;
  /** Content of the model's scheduler_config.json. */
  readonly scheduler: unknown;
  /** The recognised few-step model, whose options are the defaults. */
  readonly fewStep: Detected | undefined;
}
