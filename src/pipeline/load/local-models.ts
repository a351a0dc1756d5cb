import type { LoadOptions } from "../../contract/request.ts";
import { type DownloadProgress, type HubOptions, resolveHubOrPath } from "../../weights/hub/index.ts";

/** How models are brought here and loaded, besides which they are. */
export interface LoadingOptions extends HubOptions {
  /** Ends downloading and loading at once. What has arrived stays, and the next download goes on from there. */
  readonly signal?: AbortSignal | undefined;
  /** Told how far the download of each repository is. Nothing is told of what lies here. */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Branch, tag or commit of `model` on the hub, where its name has none. Those of adapter and LoRAs stand in their names: `org/name@revision`. */
  readonly revision?: string | undefined;
  /** Such as "fp16": which form of the weights to take where a repository has several. */
  readonly variant?: string | undefined;
}

/**
 * The same options with a path for each model that is named on the hub; what is not in the cache is downloaded.
 * @throws UserError those of resolveHubOrPath
 */
export async function localModels(
  options: LoadOptions,
  { revision, ...how }: LoadingOptions = {},
  resolve: typeof resolveHubOrPath = resolveHubOrPath,
): Promise<LoadOptions> {
  const { model, adapter, tinyVae, loras } = options;
  return {
    ...options,
    model: await resolve(model, { ...how, revision }),
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
