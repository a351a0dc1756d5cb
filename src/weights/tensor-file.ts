import type { Tensors } from "./tensor-entry.ts";

/** Content of a weight file, not yet identified as a model, an adapter or a LoRA. */
export interface TensorFile {
  readonly format: "safetensors" | "torch-zip" | "torch-legacy" | "npy" | "gguf";
  /** The id of its source. */
  readonly path: string;
  /** Tensors by name; names of nested dictionaries are joined by dots: `state_dict.conv_in.weight`. */
  readonly tensors: Tensors;
  /** The `__metadata__` of safetensors; for a pickle, single values that are not tensors, as text; those of GGUF, as text. */
  readonly metadata: Readonly<Record<string, string>>;
}
