import type { TextEmbeds } from "../../sessions/text-stage.ts";
import type { SettledRequest } from "../settle.ts";

/** What the denoiser is told before and after the identity is merged in. */
export interface Texts {
  readonly text: TextEmbeds;
  readonly identity: TextEmbeds | undefined;
  readonly negative: TextEmbeds;
}

/** A request ready to be drawn. */
export interface Prepared {
  readonly request: SettledRequest;
  readonly texts: Texts;
  readonly seed: number;
}
