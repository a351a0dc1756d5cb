import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { UserError } from "../../core/errors.ts";
import { readComponentFolder } from "../../weights/component-folder.node.ts";
import { openTensors } from "../../weights/open-tensors.node.ts";
import type { JsonObject } from "../../weights/parse-json.ts";
import { readJsonIfThere } from "../../weights/read-json.node.ts";
import type { Tensors } from "../../weights/tensor-entry.ts";

export interface NetworkWeights {
  readonly tensors: Tensors;
  /** Content of config.json, where there is one for this kind of network. */
  readonly config: JsonObject | undefined;
  /** Folder of the weights. */
  readonly folder: string;
}

/**
 * Opens the weights of a network as they are published: a folder of the hub (model.safetensors or pytorch_model.bin, shards too, with config.json), or one
 * file of safetensors or torch, with a config.json beside it that counts if it is of one of the kinds.
 * @param kinds values of `model_type`
 * @throws UserError network/no-weights, and those of openTensors and readJsonObject
 */
export async function openNetworkWeights(path: string, kinds: readonly string[]): Promise<NetworkWeights> {
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
  if (!isFolder) {
    const { tensors } = await openTensors(path);
    const beside = await readJsonIfThere(dirname(path), "config.json");
    return { tensors, config: kinds.includes(beside?.model_type as string) ? beside : undefined, folder: dirname(path) };
  }
  const found = await readComponentFolder(path);
  if (found === undefined)
    throw new UserError(
      "network/no-weights",
      `${path} has no weights of a network: neither model.safetensors nor pytorch_model.bin.`,
      "Name the folder of the model as the hub has it, or the file of weights itself.",
    );
  return { tensors: found.tensors, config: await readJsonIfThere(join(path, "config.json")), folder: path };
}
