import type { LoadOptions } from "../../contract/request.ts";
import { type DownloadProgress, type HubOptions, resolveHubOrPath } from "../../weights/hub/index.ts";
import type { ModelParts } from "../../weights/model.ts";
import type { ComponentName } from "../../weights/sdxl-single-file.ts";

/** Options of downloading and loading models. */
export interface LoadingOptions extends HubOptions {
  /** Aborts downloading and loading at once. Downloaded bytes are kept, and the next download resumes. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the progress of each repository's download; not for local models. */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Branch, tag or commit of `model` on the hub, where its name has none. Adapter and LoRAs have theirs in their names: `org/name@revision`. */
  readonly revision?: string | undefined;
  /** Variant of the weights, such as "fp16", for repositories that have several. */
  readonly variant?: string | undefined;
}

/** Options that give a part of the model apart. */
const PARTS = [
  ["unet", "unet"],
  ["vae", "vae"],
  ["textEncoder", "text_encoder"],
  ["textEncoder2", "text_encoder_2"],
] as const satisfies readonly (readonly [keyof LoadOptions, ComponentName])[];

/** The parts of the model that are given apart. */
export const partsGivenApart = (options: LoadOptions): ModelParts =>
  Object.fromEntries(PARTS.flatMap(([key, name]) => (options[key] === undefined ? [] : [[name, options[key]]])));

/**
 * Replaces models on the hub by local paths, downloading those that are not in the cache.
 * @throws UserError those of resolveHubOrPath
 */
export async function localModels(
  options: LoadOptions,
  { revision, ...how }: LoadingOptions = {},
  resolve: typeof resolveHubOrPath = resolveHubOrPath,
): Promise<LoadOptions> {
  const { model, adapter, tinyVae, loras } = options;
  const given = PARTS.flatMap(([key, name]) => (options[key] === undefined ? [] : [name]));
  const main = await resolve(model, { ...how, revision, ...(given.length > 0 && { without: given }) });
  const parts: Partial<LoadOptions> = {};
  for (const [key, part] of PARTS) if (options[key] !== undefined) parts[key] = await resolve(options[key], { ...how, part });
  return {
    ...options,
    model: main,
    ...parts,
    ...(adapter !== undefined && { adapter: await resolve(adapter, how) }),
    ...(tinyVae !== undefined && { tinyVae: await resolve(tinyVae, how) }),
    loras: await inTurn(loras, async ({ path, ...rest }) => ({ path: await resolve(path, how), ...rest })),
  };
}

async function inTurn<A, B>(items: readonly A[], make: (item: A) => Promise<B>): Promise<B[]> {
  const made: B[] = [];
  for (const item of items) made.push(await make(item));
  return made;
}
