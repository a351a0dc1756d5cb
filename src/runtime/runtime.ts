import type { NdArray } from "../core/array.ts";
import type { Notice } from "../core/notice.ts";
import type { Tensor } from "../graph/tensor.ts";

export type Feeds = Readonly<Record<string, NdArray>>;

/** What a runtime is to keep of a model that it loads, so that it is loaded quicker the next time. */
export interface PackedCache {
  /** Where, and how many bytes all that lies there may take. */
  readonly cache: { readonly folder: string; readonly mostBytes: number };
  /** Which of the pipeline's models it is, such as "unet". */
  readonly model: string;
  /** Name of the file or folder that the weights come from. */
  readonly from: string;
  /** About the weights' size, bytes. */
  readonly bytes: number;
  readonly onNotice?: ((text: string) => void) | undefined;
}

/** A loaded model. */
export interface Session<Output extends string = string> {
  /**
   * Computes outputs from inputs: all outputs, or only those named.
   * The event loop is not blocked. Arrays passed in are copied; returned ones belong to the caller.
   */
  run<Name extends Output = Output>(feeds: Feeds, names?: readonly Name[]): Promise<Readonly<Record<Name, NdArray>>>;
  /** Frees the model's memory, after a run under way has finished. */
  close(): Promise<void>;
}

/** Loads and runs models on one device. */
export interface Runtime {
  /**
   * Opens the device before anything is loaded; returns notices about it. The processor is always there.
   * @throws UserError device/unavailable; precision/not-on-device if float16 is asked for and the device lacks it
   */
  open(arithmetic?: { readonly half: boolean }): Promise<readonly Notice[]>;
  /**
   * Loads a model.
   * @param arithmetic float16, except for what is sensitive to it, or float32
   * @param keep where to keep what ONNX Runtime computes while loading, so that the next load is faster
   * @throws UserError device/unavailable; running the session throws device/failed, runtime/killed, runtime/ended
   */
  load<Output extends string>(
    outputs: Readonly<Record<Output, Tensor>>,
    arithmetic?: { readonly half: boolean },
    keep?: PackedCache,
  ): Promise<Session<Output>>;
  /** Most bytes that the models have taken, as far as is known, together with those of other runtimes that share the gauge. */
  peakMemory(): number;
  /** Frees everything at once. A run under way fails, and open sessions can no longer be used. */
  close(): Promise<void>;
}
