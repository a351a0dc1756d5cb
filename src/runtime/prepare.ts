import type { Notice } from "../core/notice.ts";
import type { LoraPair } from "../graph/lora.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { WeightRange } from "./eight-bit-probe.ts";
import type { PackedCache } from "./runtime.ts";

/** A model whose weights are to be prepared in 8 bits. */
export interface ToPrepare {
  /** The pipeline's name of the model, such as "unet". */
  readonly model: string;
  /** Name of the file or folder that the weights come from. */
  readonly from: string;
  /** The graph without its LoRAs. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly pairs: ReadonlyMap<string, readonly LoraPair[]>;
  /** Range of weights for which the processor's products are correct; the full range when absent. */
  readonly weightRange?: WeightRange | undefined;
}

/** Puts prepared weights, and LoRAs that are not merged into them, into a graph. */
export type Over = <Name extends string>(outputs: Readonly<Record<Name, Tensor>>) => Readonly<Record<Name, Tensor>>;

export interface PreparedWeights {
  readonly over: Over;
  /** Cache for the runtime's `load`, where the packed model can be cached. */
  readonly keep?: PackedCache;
}

export interface PreparingObserver {
  /** Aborts waiting for another process at once, and preparing before the next weight. */
  readonly signal?: AbortSignal | undefined;
  /** @param done, total prepared bytes of the original weights, and all of them */
  preparing(done: number, total: number): void;
  noted(notice: Notice): void;
}

/** Prepares weights in 8 bits, once for each content: weights that were prepared before are reused. */
export type PrepareWeights = (what: ToPrepare, observer: PreparingObserver) => Promise<PreparedWeights>;
