import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { UserError } from "../core/errors.ts";
import { identify, KIND_NAMES } from "./identify.ts";
import { unwrapStateDict } from "./model.ts";
import { openTensors } from "./open-tensors.ts";
import { isFolder } from "./read-json.ts";
import { type Tensors, withoutPrefix } from "./tensor-entry.ts";

export interface AdapterFiles {
  readonly version: "v1" | "v2";
  /** Absolute path of the file */
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
 * Opens a PhotoMaker adapter: the official `.bin` with `{ id_encoder, lora_weights }`, the same as safetensors with
 * dotted names, or a folder that contains one of them.
 *
 * @throws UserError adapter/wrong-kind, adapter/incomplete, adapter/not-found, adapter/ambiguous; file/*, weights/*, safetensors/*, torch/*,
 *   zip/*, pickle/*
 */
export async function openAdapter(path: string): Promise<AdapterFiles> {
  const chosen = (await isFolder(path)) ? await findInFolder(resolve(path)) : path;
  const file = await openTensors(chosen);
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

async function findInFolder(folder: string): Promise<string> {
  const found = (await readdir(folder)).filter((name) => /photomaker.*\.(bin|safetensors|pt)$/i.test(name)).sort();
  const stems = new Set(found.map((name) => name.replace(/\.\w+$/, "")));
  if (found.length === 0)
    throw new UserError(
      "adapter/not-found",
      `${folder} has no photomaker-v1.bin or photomaker-v2.bin.`,
      "Give the adapter's file.",
    );
  if (stems.size > 1)
    throw new UserError(
      "adapter/ambiguous",
      `${folder} has several adapters: ${found.join(", ")}.`,
      "Give the file of the one that you mean.",
    );
  return join(folder, found.find((name) => name.endsWith(".safetensors")) ?? found[0]!);
}
