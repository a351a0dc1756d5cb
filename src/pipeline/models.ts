import type { UNetGraph, VaeGraph } from "./graphs.ts";
import type { IdEncoder } from "./id-stage.ts";
import type { LazySession } from "./lazy-session.ts";
import type { Reader } from "./prompts.ts";
import type { LoadOptions } from "./request.ts";
import type { TextEncoder } from "./text-stage.ts";
import type { UNetSessions } from "./unet-sessions.ts";

/** Everything that a request needs, loaded or yet to be loaded. */
export interface Models {
  readonly options: LoadOptions;
  /** The model's scheduler_config.json. */
  readonly scheduler: unknown;
  /** Whether no negative prompt means zeros (force_zeros_for_empty_prompt). */
  readonly emptyIsNothing: boolean;
  readonly readers: readonly [Reader, Reader];
  readonly text: readonly [TextEncoder, TextEncoder];
  readonly identity: (IdEncoder & { readonly everyToken: boolean }) | undefined;
  readonly unet: { readonly graph: UNetGraph; readonly sessions: UNetSessions };
  readonly vae: { readonly graph: VaeGraph; readonly session: LazySession<"picture"> };
}
