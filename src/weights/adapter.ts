import { UserError } from "../core/errors.ts";
import { identify, KIND_NAMES } from "./identify.ts";
import { unwrapStateDict } from "./model.ts";
import { type Tensors, withoutPrefix } from "./tensor-entry.ts";
import type { TensorFile } from "./tensor-file.ts";

export interface AdapterFiles {
  readonly version: "v1" | "v2";
  /** The file: absolute where it lies on the disk. */
  readonly path: string;
  /** Tensors by names such as `vision_model.…`, `visual_projection.weight`, `fuse_module.…`, `qformer_perceiver.…`. */
  readonly idEncoder: Tensors;
  /** Tensors by names such as `unet.….attn1.processor.to_q_lora.down.weight`. */
  readonly lora: Tensors;
}

const PARTS: Readonly<Record<AdapterFiles["version"], readonly string[]>> = {
  v1: ["vision_model.", "visual_projection.", "visual_projection_2.", "fuse_module."],
  v2: ["vision_model.", "visual_projection.", "visual_projection_2.", "fuse_module.", "qformer_perceiver."],
};

/**
 * The parts of a PhotoMaker adapter, out of the file that holds it.
 * @throws UserError adapter/wrong-kind, adapter/incomplete
 */
export function adapterOf(file: TensorFile): AdapterFiles {
  const tensors = unwrapStateDict(file);
  const kind = identify(tensors);
  const version = kind === "photomaker-v1" ? "v1" : kind === "photomaker-v2" ? "v2" : undefined;
  if (version === undefined)
    throw new UserError(
      "adapter/wrong-kind",
      `${file.path} is ${KIND_NAMES[kind]}, not a PhotoMaker adapter.`,
      "Give photomaker-v1.bin or photomaker-v2.bin, such as those of TencentARC/PhotoMaker and TencentARC/PhotoMaker-V2.",
    );
  const idEncoder = withoutPrefix(tensors, "id_encoder.");
  const lora = withoutPrefix(tensors, "lora_weights.");
  const missing = PARTS[version].filter((prefix) => ![...idEncoder.keys()].some((name) => name.startsWith(prefix)));
  if (lora.size === 0) missing.push("lora_weights.");
  if (missing.length > 0)
    throw new UserError(
      "adapter/incomplete",
      `${file.path} lacks ${missing.map((prefix) => prefix.slice(0, -1)).join(", ")}.`,
      "Download the adapter again.",
    );
  return { version, path: file.path, idEncoder, lora };
}
