import type { Notice } from "../core/notice.ts";
import type { LoraPair } from "../graph/lora.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { WeightRange } from "./eight-bit-probe.ts";
import type { PackedCache } from "./runtime.ts";

/** A model whose weights are to be brought into 8 bits. */
export interface ToPrepare {
  /** Which of the pipeline's models it is, such as "unet". */
  readonly model: string;
  /** Name of the file or folder that the weights come from. */
  readonly from: string;
  /** The graph without its LoRAs. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly pairs: ReadonlyMap<string, readonly LoraPair[]>;
  /** Of which weights the processor's products are right: of all when absent. */
  readonly weightRange?: WeightRange | undefined;
}

/** Puts prepared weights, and LoRAs where those are not in them, into a graph. */
export type Over = <Name extends string>(outputs: Readonly<Record<Name, Tensor>>) => Readonly<Record<Name, Tensor>>;

export interface PreparedWeights {
  readonly over: Over;
  /** For the runtime's load, where it can keep what it makes of the model. */
  readonly keep?: PackedCache;
}

export interface PreparingObserver {
  /** Ends waiting for another process that prepares the same, at once, and preparing before the next weight. */
  readonly signal?: AbortSignal | undefined;
  /** @param done, total bytes of the original weights */
  preparing(done: number, total: number): void;
  noted(notice: Notice): void;
}

/** Brings weights into 8 bits, once for each content: what was prepared before is found again. */
export type PrepareWeights = (what: ToPrepare, observer: PreparingObserver) => Promise<PreparedWeights>;
