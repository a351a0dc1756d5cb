import type { NdArray } from "../../core/array.ts";
import { UserError } from "../../core/errors.ts";
import { deepCacheParts } from "../../models/deep-cache.ts";
import type { UNetConfig } from "../../models/unet.ts";
import type { Feeds } from "../../runtime/runtime.ts";
import type { ActiveExtension, Run, UNetExtension } from "./extension.ts";
import { sameTold, type Told } from "./guidance.ts";

/** Splits the UNet, and leaves its deep layers out in most evaluations, see {@link DeepCache}. */
export function deepCache(request: { readonly deepCache?: number | undefined }): UNetExtension | undefined {
  const { deepCache: interval } = request;
  if (interval === undefined) return undefined;
  return {
    ...{ name: DEEP_CACHE, key: DEEP_CACHE, servesWithout: true },
    split(outputs) {
      const { deep, outer } = deepCacheParts(outputs);
      return [
        { name: "unet: deep layers", outputs: deep, gives: { deep: "deepFeature" } },
        { name: "unet: outer layers", outputs: outer, gives: {} },
      ];
    },
    check: ({ config }) => checkDeepCache(request, config),
    start: () => new DeepCache(interval),
  };
}

export const DEEP_CACHE = "deep-cache";

/**
 * Asks the deep layers of a UNet only at every `interval`-th evaluation: Ma et al. 2023 (arXiv 2312.00858), the uniform strategy
 * of section 3.3. In between their last answer is used again.
 */
export class DeepCache implements ActiveExtension {
  readonly #interval: number;
  #rows: readonly Told[] = [];
  /** What the deep layers said last, by the first row of each run. */
  readonly #features = new Map<number, NdArray>();
  #age = 0;

  constructor(interval: number) {
    this.#interval = interval;
  }

  /** Other rows, as when the identity is merged in or guidance ends, put away what was said to the old ones. */
  begin(rows: readonly Told[]): void {
    const same = rows.length === this.#rows.length && rows.every((row, i) => sameTold(row, this.#rows[i]!));
    this.#age = same ? (this.#age + 1) % this.#interval : 0;
    if (this.#age === 0) this.#features.clear();
    this.#rows = rows;
  }

  feeds(_: Feeds, { from }: Run): Feeds {
    const deepFeature = this.#features.get(from);
    return deepFeature === undefined ? {} : { deepFeature };
  }

  took({ deepFeature }: Feeds, { from }: Run): void {
    if (deepFeature !== undefined) this.#features.set(from, deepFeature);
  }
}

/** @throws UserError deep-cache/one-level */
export function checkDeepCache({ deepCache }: { readonly deepCache?: number | undefined }, { channels }: UNetConfig): void {
  if (deepCache === undefined || channels.length > 1) return;
  throw new UserError(
    "deep-cache/one-level",
    "DeepCache is asked for, and this model's UNet has one level: no layers of it are deeper than others.",
    "Leave DeepCache out.",
  );
}
