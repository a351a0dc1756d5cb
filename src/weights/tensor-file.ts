import type { Tensors } from "./tensor-entry.ts";

/** What a weight file holds, before anyone asks what it means. */
export interface TensorFile {
  readonly format: "safetensors" | "torch-zip" | "torch-legacy";
  /** The id of its source. */
  readonly path: string;
  /** Names of nested dictionaries are joined by dots: `state_dict.conv_in.weight`. */
  readonly tensors: Tensors;
  /** The `__metadata__` of safetensors; from a pickle the single values that are no tensors, as text. */
  readonly metadata: Readonly<Record<string, string>>;
}
