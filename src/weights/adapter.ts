import { UserError } from "../core/errors.ts";
import { encoderPrefix, identify, isLoraKey, KIND_NAMES } from "./identify.ts";
import { unwrapStateDict } from "./model.ts";
import type { TensorEntry, Tensors } from "./tensor-entry.ts";
import type { TensorFile } from "./tensor-file.ts";

export interface AdapterFiles {
  readonly version: "v1" | "v2";
  /** The file: absolute where it lies on the disk. */
  readonly path: string;
  /** Tensors by names such as `vision_model.…`, `visual_projection.weight`, `fuse_module.…`, `qformer_perceiver.…`. */
  readonly idEncoder: Tensors;
  /** Tensors by names such as `unet.….attn1.processor.to_q_lora.down.weight`; none where the LoRA is a file of its own. */
  readonly lora: Tensors;
  /** Names of tensors that belong to neither. */
  readonly unused: readonly string[];
}

const PARTS: Readonly<Record<AdapterFiles["version"], readonly string[]>> = {
  v1: ["vision_model.", "visual_projection.", "visual_projection_2.", "fuse_module."],
  v2: ["vision_model.", "visual_projection.", "visual_projection_2.", "fuse_module.", "qformer_perceiver."],
};

export const NO_LORA = "It has the ID encoder alone, and lacks the LoRA that belongs to it (lora_weights).";
export const LORA_APART = "Give that file too, with --lora, or the adapter as it is published, which has both.";

const LORA = /^(?:.*[./])?lora_weights[./]/;

/** The ID encoder and the LoRA among an adapter's tensors, as far as they are there. */
export function splitAdapter(tensors: Tensors): Pick<AdapterFiles, "idEncoder" | "lora" | "unused"> {
  const names = [...tensors.keys()];
  const prefix = names.map(encoderPrefix).find((start) => start !== undefined) ?? "id_encoder.";
  const named = names.some((name) => LORA.test(name));
  const isLora = (name: string): boolean => (named ? LORA.test(name) : isLoraKey(name));
  const [idEncoder, lora, unused] = [new Map<string, TensorEntry>(), new Map<string, TensorEntry>(), [] as string[]];
  for (const [name, entry] of tensors) {
    const into = isLora(name) ? lora : idEncoder;
    const short = into === lora ? name.replace(LORA, "") : name.slice(prefix.length);
    if (into === idEncoder && !name.startsWith(prefix)) unused.push(name);
    else into.set(short, { ...entry, name: short });
  }
  return { idEncoder, lora, unused };
}

/**
 * The parts of a PhotoMaker adapter, out of the file that holds it. Its LoRA may be missing: it can be a file of its own.
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
  const { idEncoder, lora, unused } = splitAdapter(tensors);
  const missing = missingParts(version, idEncoder);
  if (missing.length > 0)
    throw new UserError("adapter/incomplete", `${file.path} lacks ${missing.join(", ")}.`, "Download the adapter again.");
  return { version, path: file.path, idEncoder, lora, unused };
}

/** Parts of an ID encoder that are not there, such as "vision_model". */
export const missingParts = (version: AdapterFiles["version"], idEncoder: Tensors): string[] =>
  PARTS[version]
    .filter((prefix) => ![...idEncoder.keys()].some((name) => name.startsWith(prefix)))
    .map((prefix) => prefix.slice(0, -1));
