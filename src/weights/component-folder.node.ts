import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { type ErrorCode, UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import { openTensors } from "./open-tensors.node.ts";
import { readJsonObject } from "./read-json.node.ts";
import type { TensorEntry, Tensors } from "./tensor-entry.ts";

export interface ComponentWeights {
  readonly tensors: Tensors;
  /** Absolute paths; several when the weights are in shards */
  readonly files: readonly string[];
  readonly notices: readonly Notice[];
}

/** File names of a component's weights, best first: safetensors before pickles, full before reduced precision. */
const CANDIDATES: readonly string[] = ["safetensors", "bin"].flatMap((end) =>
  (end === "bin" ? ["diffusion_pytorch_model", "pytorch_model"] : ["diffusion_pytorch_model", "model"]).flatMap((base) => [
    `${base}.${end}`,
    `${base}.${end}.index.json`,
    `${base}.fp16.${end}`,
    `${base}.${end}.index.fp16.json`,
    `${base}.fp16.${end}.index.json`,
  ]),
);

/**
 * Opens the weights in the folder of a diffusers component: one file, or shards with their index.
 *
 * @returns undefined if there are none
 * @throws UserError model/shard-missing, model/shard-index, config/not-json, config/too-large; file/*, weights/*, safetensors/*, torch/*, zip/*,
 *   pickle/*
 */
export async function readComponentFolder(folder: string): Promise<ComponentWeights | undefined> {
  const present = new Set(await readdir(folder).catch(() => []));
  const [chosen, ...others] = CANDIDATES.filter((name) => present.has(name));
  if (chosen === undefined) return undefined;
  const notices: Notice[] = [];
  if (others.length > 0 || chosen.includes(".fp16."))
    notices.push({
      code: "model/weights-chosen",
      message: `${basename(folder)}: ${chosen} is used${others.length > 0 ? `, not ${others.join(", ")}` : ""}.`,
    });
  const path = join(folder, chosen);
  if (chosen.endsWith(".json")) return { ...(await readShards(path, folder)), notices };
  const file = await openTensors(path);
  return { tensors: file.tensors, files: [file.path], notices };
}

async function readShards(index: string, folder: string): Promise<{ tensors: Tensors; files: string[] }> {
  const refuse = (code: ErrorCode, problem: string) =>
    new UserError(code, `${index}: ${problem}`, "Download the model again, with all its parts.");
  const { weight_map: map } = await readJsonObject(index);
  if (typeof map !== "object" || map === null) throw refuse("model/shard-index", "it has no weight_map.");
  const wanted = Object.entries(map);
  const tensors = new Map<string, TensorEntry>();
  const files: string[] = [];
  for (const shard of new Set<unknown>(wanted.map(([, file]) => file))) {
    if (typeof shard !== "string" || basename(shard) !== shard || shard === "..")
      throw refuse("model/shard-index", `${JSON.stringify(shard)} is not the name of a file beside it.`);
    const file = await openTensors(join(folder, shard)).catch((error: unknown) => {
      throw error instanceof UserError && error.code === "file/missing"
        ? refuse("model/shard-missing", `the part ${shard} is missing.`)
        : error;
    });
    files.push(file.path);
    for (const [name, entry] of file.tensors) {
      if (tensors.has(name)) throw refuse("model/shard-index", `"${name}" is in two parts.`);
      tensors.set(name, entry);
    }
  }
  for (const [name, shard] of wanted) {
    const source = tensors.get(name)?.source;
    if (source === undefined || (source.kind === "file" && basename(source.file.id) !== shard))
      throw refuse("model/shard-index", `"${name}" is not in ${shard}.`);
  }
  return { tensors, files };
}
