import type { NdArray } from "../core/array.ts";
import type { Notice } from "../core/notice.ts";
import type { Tensor } from "../graph/tensor.ts";

export type Feeds = Readonly<Record<string, NdArray>>;

/** Cache of packed models: what a runtime computes while it loads a model, so that the next load is faster. */
export interface PackedCache {
  /** Folder of the cache, and the largest total size of its files in bytes. */
  readonly cache: { readonly folder: string; readonly mostBytes: number };
  /** The pipeline's name of the model, such as "unet". */
  readonly model: string;
  /** Name of the file or folder that the weights come from. */
  readonly from: string;
  /** Approximate size of the weights in bytes. */
  readonly bytes: number;
  readonly onNotice?: ((notice: Notice) => void) | undefined;
}

/** A loaded model. */
export interface Session<Output extends string = string> {
  /**
   * Computes all outputs, or only the named ones, from inputs without blocking the event loop. Arrays passed in are copied; returned ones belong
   * to the caller.
   */
  run<Name extends Output = Output>(feeds: Feeds, names?: readonly Name[]): Promise<Readonly<Record<Name, NdArray>>>;
  /** Frees the model's memory, after the current run has finished. */
  close(): Promise<void>;
}

/** Loads and runs models on one device. */
export interface Runtime {
  /**
   * Opens the device before anything is loaded. The processor is always available.
   * @returns notices about the device
   * @throws UserError device/unavailable; precision/not-on-device if float16 is requested and the device lacks it
   */
  open(arithmetic?: { readonly half: boolean }): Promise<readonly Notice[]>;
  /**
   * Loads a model.
   * @param arithmetic float32, or float16 except for operations that are sensitive to it
   * @param keep cache for what ONNX Runtime computes while loading, so that the next load is faster
   * @throws UserError device/unavailable; running the session throws device/failed, runtime/killed, runtime/ended
   */
  load<Output extends string>(
    outputs: Readonly<Record<Output, Tensor>>,
    arithmetic?: { readonly half: boolean },
    keep?: PackedCache,
  ): Promise<Session<Output>>;
  /**
   * Loads a model that another program has written, on the processor. What it may contain is the caller's to check: see faces/pack/check-onnx.ts.
   * @param model its bytes, or the path of its file
   * @param outputs names of its outputs, all of them float32
   */
  loadOnnx<Output extends string>(model: Uint8Array | string, outputs: readonly Output[]): Promise<Session<Output>>;
  /** Known peak memory of the models in bytes, together with those of other runtimes that share the gauge. */
  peakMemory(): number;
  /** Frees all memory at once. A current run fails, and open sessions can no longer be used. */
  close(): Promise<void>;
}
