import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { UserError } from "../core/errors.ts";
import { type AdapterFiles, adapterOf } from "./adapter.ts";
import { openTensors } from "./open-tensors.node.ts";
import { isFolder } from "./read-json.node.ts";

/**
 * Opens a PhotoMaker adapter: the official `.bin` with `{ id_encoder, lora_weights }`, the same as safetensors with
 * dotted names, or a folder with one of them.
 *
 * @throws UserError adapter/not-found, adapter/ambiguous, and those of openTensors and adapterOf
 */
export const openAdapter = async (path: string): Promise<AdapterFiles> =>
  adapterOf(await openTensors((await isFolder(path)) ? await findInFolder(resolve(path)) : path));

async function findInFolder(folder: string): Promise<string> {
  const found = (await readdir(folder)).filter((name) => /photomaker.*\.(bin|safetensors|gguf|pt)$/i.test(name)).sort();
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
      "Give the one that is meant.",
    );
  return join(folder, found.find((name) => name.endsWith(".safetensors")) ?? found[0]!);
}
