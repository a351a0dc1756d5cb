import type { NdArray } from "../../core/array.ts";
import { UserError } from "../../core/errors.ts";
import type { UNetConfig } from "../../models/unet.ts";
import type { Feeds } from "../../runtime/runtime.ts";
import type { TextEmbeds } from "../../sessions/text/text-stage.ts";
import type { UNetPartSessions } from "../../sessions/unet-sessions.ts";
import type { Conditioning, UNet } from "./denoiser.ts";

/**
 * A UNet whose deep layers are asked only at every `interval`-th evaluation: Ma et al. 2023 (arXiv 2312.00858), the uniform strategy
 * of section 3.3. In between their last answer is used again. One object serves one drawing: size and batch stay the same.
 */
export class DeepCache implements UNet {
  readonly #parts: UNetPartSessions;
  readonly #interval: number;
  #conditioning: Conditioning | undefined;
  #texts: readonly TextEmbeds[] = [];
  /** What the deep layers said last, for each run of an evaluation. */
  #features: NdArray[] = [];
  #age = 0;
  #runs = 0;

  constructor(parts: UNetPartSessions, interval: number) {
    this.#parts = parts;
    this.#interval = interval;
  }

  /**
   * To be called before each evaluation. Other texts, as when the identity is merged in, or the end of guidance put away what was said to
   * the old ones.
   * @param texts one for each picture
   */
  begin(texts: readonly TextEmbeds[], conditioning: Conditioning): void {
    const same = conditioning === this.#conditioning && texts.every((text, i) => text === this.#texts[i]);
    this.#conditioning = conditioning;
    this.#age = same ? (this.#age + 1) % this.#interval : 0;
    if (this.#age === 0) this.#features = [];
    this.#texts = texts;
    this.#runs = 0;
  }

  async run(feeds: Feeds): Promise<{ readonly noise: NdArray }> {
    const at = this.#runs++;
    const deepFeature = this.#features[at] ?? (await this.#parts.deep.run(feeds)).deep;
    this.#features[at] = deepFeature;
    return this.#parts.outer.run({ ...feeds, deepFeature });
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
