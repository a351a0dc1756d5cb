import type { Notice } from "../core/notice.ts";
import type { JsonObject } from "./parse-json.ts";
import type { ComponentName } from "./sdxl-single-file.ts";
import { type Tensors, withoutPrefix } from "./tensor-entry.ts";
import type { TensorFile } from "./tensor-file.ts";

export interface ModelComponent {
  /** Its config.json; undefined when nothing tells. */
  readonly config?: JsonObject;
  /** By the names of diffusers and transformers. */
  readonly tensors: Tensors;
  /** The files that hold them, absolute. */
  readonly files: readonly string[];
}

export interface ModelFiles {
  readonly kind: "folder" | "single-file";
  /** Absolute. */
  readonly path: string;
  readonly components: Readonly<Record<ComponentName, ModelComponent>>;
  /** scheduler_config.json, with what the weights themselves say about prediction; undefined when nothing tells. */
  readonly scheduler?: JsonObject;
  /** Folders of both tokenizers; undefined where the embedded vocabulary is meant. */
  readonly tokenizers?: { readonly tokenizer: string; readonly tokenizer_2: string };
  /** Whether no negative prompt means zeros rather than an empty text: `force_zeros_for_empty_prompt` of model_index.json. */
  readonly emptyPromptIsNothing: boolean;
  /** The `__metadata__` of a single safetensors file. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly notices: readonly Notice[];
}

/** The tensors of a file, out of the `state_dict` in which training programs wrap them. */
export function unwrapStateDict({ tensors }: Pick<TensorFile, "tensors">): Tensors {
  const inner = withoutPrefix(tensors, "state_dict.");
  return inner.size > 0 ? inner : tensors;
}
