import { UserError } from "../../core/errors.ts";
import type { TextGraph } from "../../sessions/graphs.ts";

interface Encoder {
  readonly graph: { readonly config: Pick<TextGraph["config"], "layers"> };
}

/**
 * Refuses to leave out more layers than the text encoders have: the last one is left out in any case, and with all of them the embeddings
 * of the tokens themselves are left, as in diffusers.
 * @throws UserError clip-skip/out-of-range
 */
export function checkClipSkip(encoders: readonly Encoder[], { clipSkip = 0 }: { readonly clipSkip?: number | undefined }): void {
  const layers = encoders.map(({ graph }) => graph.config.layers);
  const most = Math.min(...layers) - 1;
  if (clipSkip <= most) return;
  throw new UserError(
    "clip-skip/out-of-range",
    `clipSkip (--clip-skip) is ${clipSkip}. This model's text encoders have ${layers.join(" and ")} layers; beyond the last one, at most ${most} can be left out.`,
    most > 0 ? `Take ${most} or less; 0 is usual.` : "Leave it out.",
  );
}
