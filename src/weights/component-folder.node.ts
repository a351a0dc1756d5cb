import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { type ErrorCode, UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import { openTensors } from "./open-tensors.node.ts";
import { readJsonObject, refuseBrokenLink } from "./read-json.node.ts";
import type { TensorEntry, Tensors } from "./tensor-entry.ts";
import type { TensorFile } from "./tensor-file.ts";

export interface ComponentWeights {
  readonly tensors: Tensors;
  /** Absolute paths; several when the weights are in shards */
  readonly files: readonly string[];
  readonly notices: readonly Notice[];
}

/** A file of a component's weights, by its name. */
interface Candidate {
  readonly name: string;
  /** Such as "fp16"; empty for the weights as they were trained. */
  readonly variant: string;
  /** Lower is better: safetensors before pickles, then whole before variants, fp16 and bf16 before others. */
  readonly rank: number;
}

const SAFETENSORS = /^(diffusion_pytorch_model|model)(?:\.([\w-]+))?\.safetensors(\.index(?:\.([\w-]+))?\.json)?$/;
const PICKLED = /^(diffusion_pytorch_model|pytorch_model)(?:\.([\w-]+))?\.bin(\.index(?:\.([\w-]+))?\.json)?$/;
const PART = /-\d+-of-\d+/;
const SHARD = /^(diffusion_pytorch_model|model|pytorch_model)\b.*-\d+-of-\d+.*\.(safetensors|bin)$/;
const VARIANTS = ["", "fp16", "bf16"];

/** What a file is by its name: `model.bf16.safetensors`, `model.safetensors.index.bf16.json` and `model.bf16.safetensors.index.json`. */
function candidateOf(name: string): Candidate | undefined {
  const found = SAFETENSORS.exec(name) ?? PICKLED.exec(name);
  if (found === null || PART.test(name)) return undefined;
  const [, base, before, index, behind] = found;
  const variant = before ?? behind ?? "";
  const known = VARIANTS.indexOf(variant);
  const place = known < 0 ? VARIANTS.length : known;
  const rank =
    (SAFETENSORS.test(name) ? 0 : 100) +
    (base === "diffusion_pytorch_model" ? 0 : 50) +
    10 * place +
    (index === undefined ? 0 : before === undefined ? 1 : 2);
  return { name, variant, rank };
}

/**
 * Opens the weights in the folder of a diffusers component: one file, or shards with their index.
 *
 * @returns undefined if there are none
 * @throws UserError model/broken-link, model/shard-missing, model/shard-index, config/not-json, config/too-large; file/*, weights/*, safetensors/*, torch/*, zip/*,
 *   pickle/*
 */
export async function readComponentFolder(folder: string): Promise<ComponentWeights | undefined> {
  const present = (await readdir(folder).catch(() => [])).sort();
  const candidates = present.flatMap((name) => candidateOf(name) ?? []).sort((a, b) => a.rank - b.rank);
  const [best] = candidates;
  const part = present.find((name) => SHARD.test(name));
  if (best === undefined && part !== undefined)
    throw new UserError(
      "model/shard-index",
      `${folder} has weights in parts, such as ${part}, and no index of them.`,
      "Download the model again, with the files whose names end in .index.json.",
    );
  if (best === undefined) return undefined;
  const chosen = best.name;
  const others = candidates.slice(1).map(({ name }) => name);
  const notices: Notice[] = [];
  if (others.length > 0 || best.variant !== "")
    notices.push({
      code: "model/weights-chosen",
      message: `${basename(folder)}: ${chosen} is used${others.length > 0 ? `, not ${others.join(", ")}` : ""}.`,
    });
  const path = join(folder, chosen);
  if (chosen.endsWith(".json")) return { ...(await readShards(path, folder)), notices };
  const file = await openLinked(path);
  return { tensors: file.tensors, files: [file.path], notices };
}

/**
 * Opens a file of weights, as openTensors does.
 * @throws UserError model/broken-link, and those of openTensors
 */
export async function openLinked(path: string): Promise<TensorFile> {
  try {
    return await openTensors(path);
  } catch (error) {
    if (error instanceof UserError && error.code === "file/missing") await refuseBrokenLink(path);
    throw error;
  }
}

async function readShards(index: string, folder: string): Promise<{ tensors: Tensors; files: string[] }> {
  const refuse = (code: ErrorCode, problem: string) =>
    new UserError(code, `${index}: ${problem}`, "Download the model again, with all its parts.");
  await refuseBrokenLink(index);
  const { weight_map: map } = await readJsonObject(index);
  if (typeof map !== "object" || map === null) throw refuse("model/shard-index", "it has no weight_map.");
  const wanted = Object.entries(map);
  const tensors = new Map<string, TensorEntry>();
  const files: string[] = [];
  for (const shard of new Set<unknown>(wanted.map(([, file]) => file))) {
    if (typeof shard !== "string" || basename(shard) !== shard || shard === "..")
      throw refuse("model/shard-index", `${JSON.stringify(shard)} is not the name of a file beside it.`);
    const file = await openLinked(join(folder, shard)).catch((error: unknown) => {
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
