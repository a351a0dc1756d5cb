import type { Notice } from "../core/notice.ts";
import type { JsonObject } from "./parse-json.ts";
import type { LatentScale, ModelPrediction } from "./prediction.ts";
import type { ComponentName } from "./sdxl-single-file.ts";
import { type Tensors, withoutPrefix } from "./tensor-entry.ts";
import type { TensorFile } from "./tensor-file.ts";

export interface ModelComponent {
  /** Content of its config.json; undefined where nothing gives it */
  readonly config?: JsonObject;
  /** Tensors by the names of diffusers and transformers */
  readonly tensors: Tensors;
  /** Absolute paths of the files that hold the tensors */
  readonly files: readonly string[];
  /** Of the VAE: the scale of the latents that the weights declare, instead of its config's */
  readonly latents?: LatentScale;
}

/** Paths of parts of a model that are given apart. */
export type ModelParts = { readonly [Name in ComponentName]?: string };

export interface ModelFiles {
  readonly kind: "folder" | "single-file";
  /** Absolute path */
  readonly path: string;
  readonly components: Readonly<Record<ComponentName, ModelComponent>>;
  /** What the UNet predicts, and where that was read. */
  readonly prediction: ModelPrediction;
  /** Content of scheduler_config.json, adjusted to the prediction type that the weights declare; undefined where nothing gives it */
  readonly scheduler?: JsonObject;
  /** Folders of both tokenizers; undefined: use the vocabulary that comes with this package. */
  readonly tokenizers?: { readonly tokenizer: string; readonly tokenizer_2: string };
  /** Whether a missing negative prompt is encoded as zeros rather than as an empty text: `force_zeros_for_empty_prompt` of model_index.json. */
  readonly emptyPromptIsZeros: boolean;
  /** Absolute paths of parts that were given apart, and taken in the place of the model's own. */
  readonly parts: ModelParts;
  /** The `__metadata__` of a single safetensors file, which has the UNet. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly notices: readonly Notice[];
}

/** The tensors of a file, out of the `state_dict` in which training programs wrap them. */
export function unwrapStateDict({ tensors }: Pick<TensorFile, "tensors">): Tensors {
  const inner = withoutPrefix(tensors, "state_dict.");
  return inner.size > 0 ? inner : tensors;
}
