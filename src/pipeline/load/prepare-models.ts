import type { Notice } from "../../core/notice.ts";
import type { Opened } from "./opened.ts";

export interface PreparingOptions {
  /** Rejects at once when it aborts. */
  readonly signal?: AbortSignal;
  /** @param done, total prepared bytes of the model's weights, and all of them */
  readonly onProgress?: (model: string, done: number, total: number) => void;
  readonly onNotice?: (notice: Notice) => void;
}

/**
 * Prepares the weights of all models whose precision needs that.
 * @returns names of the models that are prepared, by this call or before
 * @throws the signal's reason
 */
export async function prepareModels(
  { text, identity, unet, vae }: Pick<Opened, "text" | "identity" | "unet" | "vae">,
  { signal, onProgress, onNotice }: PreparingOptions,
): Promise<string[]> {
  const observer = {
    signal,
    loading: () => {},
    loaded: () => {},
    noted: (notice: Notice) => onNotice?.(notice),
    preparing: (model: string, done: number, total: number) => {
      signal?.throwIfAborted();
      onProgress?.(model, done, total);
    },
  };
  const models = [
    ...text.map(({ session }) => ({ name: session.name, prepare: () => session.prepare(observer) })),
    ...(identity === undefined ? [] : [{ name: "id_encoder", prepare: () => identity.encode.prepare(observer) }]),
    { name: "unet", prepare: () => unet.sessions.prepare(observer) },
    { name: "vae", prepare: () => vae.session.prepare(observer) },
  ];
  const prepared: string[] = [];
  for (const { name, prepare } of models) {
    signal?.throwIfAborted();
    if (await prepare()) prepared.push(name);
  }
  return prepared;
}
