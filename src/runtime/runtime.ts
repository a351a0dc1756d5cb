import type { NdArray } from "../core/array.ts";
import type { Notice } from "../core/notice.ts";
import type { Tensor } from "../graph/tensor.ts";

export type Feeds = Readonly<Record<string, NdArray>>;

/** What a runtime is to keep of a model that it loads, so that it is loaded quicker the next time. */
export interface Keep {
  /** Where, and how many bytes all that lies there may take. */
  readonly cache: { readonly folder: string; readonly mostBytes: number };
  /** Which of the pipeline's models it is, such as "unet". */
  readonly model: string;
  /** Name of the file or folder that the weights come from. */
  readonly from: string;
  /** About the weights' size, bytes. */
  readonly bytes: number;
  readonly onNote?: ((text: string) => void) | undefined;
}

/** A loaded model. */
export interface Session<Output extends string = string> {
  /**
   * Computes outputs from inputs: all of them, or only those named.
   * The event loop is not held up. Arrays that are given are copied, those that come back are the caller's.
   */
  run<Name extends Output = Output>(feeds: Feeds, names?: readonly Name[]): Promise<Readonly<Record<Name, NdArray>>>;
  /** Frees the model's memory. A run under way is finished first. */
  close(): Promise<void>;
}

/** Where models run. */
export interface Runtime {
  /**
   * Makes sure that the device is there before anything is loaded, and says what is to be known of it. The processor always is.
   * @throws UserError device/unavailable; precision/not-on-device if it is to compute in float16 and cannot
   */
  open(arithmetic?: { readonly half: boolean }): Promise<readonly Notice[]>;
  /**
   * @param arithmetic in float16, but for what is sensitive, or in float32
   * @param keep where what the processor makes of the model is kept, so that it is loaded quicker the next time
   * @throws UserError device/unavailable; a session's run device/failed, runtime/killed, runtime/ended
   */
  load<Output extends string>(
    outputs: Readonly<Record<Output, Tensor>>,
    arithmetic?: { readonly half: boolean },
    keep?: Keep,
  ): Promise<Session<Output>>;
  /** The most memory that the models have taken, in bytes, as far as is known; with those of other runtimes of the same gauge. */
  peakMemory(): number;
  /** Frees everything at once, even while a run is under way, which then fails. Sessions that are open can no longer be used. */
  close(): Promise<void>;
}
