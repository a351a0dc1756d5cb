import { readdir } from "node:fs/promises";
import { basename, extname, join, resolve } from "node:path";
import { messageOf, UserError } from "../core/errors.ts";
import { LORA_APART, missingParts, NO_LORA, splitAdapter } from "./adapter.ts";
import { readComponentFolder } from "./component-folder.node.ts";
import { identify, KIND_NAMES, type Kind } from "./identify.ts";
import { parseLoraKey, unsupportedRole } from "./lora-key.ts";
import { loraMethods } from "./lora-methods.ts";
import { type ModelFiles, unwrapStateDict } from "./model.ts";
import { openModel } from "./open-model.node.ts";
import { openTensors } from "./open-tensors.node.ts";
import type { ModelPrediction } from "./prediction.ts";
import { exists, isFolder } from "./read-json.node.ts";
import { COMPONENTS, PREFIXES, splitSingleFile } from "./sdxl-single-file.ts";
import { elementCount, storedAs, type TensorEntry, type Tensors, withoutPrefix } from "./tensor-entry.ts";
import type { TensorFile } from "./tensor-file.ts";

export interface PartDescription {
  readonly name: string;
  readonly tensors: number;
  readonly parameters: number;
  readonly bytes: number;
  /** Number of parameters of each number format, such as "F16" and "Q4_K" */
  readonly dtypes: Readonly<Record<string, number>>;
}

/** Description of a file or folder: plain data for `inspect`. */
export interface Description {
  /** Absolute path */
  readonly path: string;
  readonly kind: Kind | "folder";
  /** The kind in words, such as "a PhotoMaker V1 adapter" */
  readonly title: string;
  readonly format: TensorFile["format"] | "folder";
  readonly components: readonly PartDescription[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Parts that a model of this kind needs and this one lacks. */
  readonly missing: readonly string[];
  /** Facts that the user should know: unused tensors, which of several files is used, why it would be refused. */
  readonly remarks: readonly string[];
  /** Of a model: what its UNet predicts, and where that was read. */
  readonly prediction?: ModelPrediction;
  readonly lora?: {
    readonly spelling: string;
    /** Such as "LoRA" and "LoHa" */
    readonly methods: readonly string[];
    readonly ranks: readonly number[];
    readonly layers: number;
  };
}

/**
 * Describes a weight file, a component's folder or a model's folder. Reads headers only.
 * @example
 * ```js
 * import { describe } from "photomaker/weights";
 *
 * const { title } = await describe("model.safetensors");
 * console.log(title); // a PhotoMaker V1 adapter
 * ```
 * @throws UserError inspect/nothing for a folder without weights; file/*, weights/*, safetensors/*, torch/*, zip/*, pickle/*, gguf/* if a
 *   file cannot be read at all
 */
export async function describe(path: string): Promise<Description> {
  const absolute = resolve(path);
  return (await isFolder(absolute)) ? describeFolder(absolute) : describeFile(await openTensors(absolute));
}

async function describeFile(file: TensorFile): Promise<Description> {
  const { path, format, metadata } = file;
  const tensors = unwrapStateDict(file);
  const kind = identify(tensors);
  const base = { path, kind, title: KIND_NAMES[kind], format, metadata, missing: [], remarks: [] };
  switch (kind) {
    case "sdxl": {
      const { components, unknown } = splitSingleFile(tensors);
      const present = COMPONENTS.filter((name) => components[name].size > 0);
      const opened = await tryModel(path);
      return {
        ...base,
        // counted as stored: in_proj, which becomes three tensors, is one in the file
        components: present.map((name) => count(name, withoutPrefix(tensors, PREFIXES[name]).values())),
        missing: COMPONENTS.filter((name) => !present.includes(name)),
        remarks: [...unused(unknown), ...refusalOf(opened)],
        ...predictionOf(opened),
      };
    }
    case "photomaker-v1":
    case "photomaker-v2": {
      const version = kind === "photomaker-v1" ? "v1" : "v2";
      const { idEncoder, lora, unused: others } = splitAdapter(tensors);
      const components = [count("id_encoder", idEncoder.values()), count("lora_weights", lora.values())];
      const missing = [...missingParts(version, idEncoder), ...(lora.size === 0 ? ["lora_weights"] : [])];
      const apart = lora.size === 0 ? [`${NO_LORA} ${LORA_APART}`] : [];
      return { ...base, components, missing, remarks: [...unused(others), ...apart] };
    }
    case "lora":
      return { ...base, ...describeLora(tensors) };
    case "textual-inversion":
      return { ...base, components: byFirstSegment(tensors), remarks: [embeddingRemark(path)] };
    default:
      return { ...base, components: byFirstSegment(tensors) };
  }
}

/** How an embedding is used. */
const embeddingRemark = (path: string): string =>
  `Give it with --embeddings ${path}, and write embedding:${basename(path, extname(path))} in a prompt or a negative prompt.`;

async function describeFolder(path: string): Promise<Description> {
  const base = { path, format: "folder" as const, metadata: {} };
  if (await exists(join(path, "model_index.json"))) {
    const parts: PartDescription[] = [];
    const missing: string[] = [];
    const remarks: string[] = [];
    for (const name of COMPONENTS) {
      const weights = await readComponentFolder(join(path, name));
      if (weights === undefined) missing.push(name);
      else parts.push(count(name, weights.tensors.values()));
      if (!(await exists(join(path, name, "config.json")))) missing.push(`${name}/config.json`);
      remarks.push(...(weights?.notices ?? []).map(({ message }) => message));
    }
    for (const name of ["scheduler/scheduler_config.json", "tokenizer", "tokenizer_2"])
      if (!(await exists(join(path, name)))) missing.push(name);
    const opened = await tryModel(path);
    const kind = opened instanceof UserError ? "folder" : "sdxl";
    const title = kind === "sdxl" ? "a diffusers folder of an SDXL model" : "a diffusers folder that cannot be used";
    return {
      ...base,
      kind,
      title,
      components: parts,
      missing,
      remarks: [...remarks, ...refusalOf(opened)],
      ...predictionOf(opened),
    };
  }
  const weights = await readComponentFolder(path);
  if (weights !== undefined) {
    const kind = identify(weights.tensors);
    const remarks = weights.notices.map(({ message }) => message);
    const missing = (await exists(join(path, "config.json"))) ? [] : ["config.json"];
    return {
      ...base,
      kind,
      title: `a folder with ${KIND_NAMES[kind]}`,
      components: [count(kind, weights.tensors.values())],
      missing,
      remarks,
    };
  }
  const files = (await readdir(path)).filter((name) => /\.(safetensors|gguf|bin|pth?|ckpt)$/.test(name)).sort();
  if (files.length === 0)
    throw new UserError(
      "inspect/nothing",
      `${path} has no weights in it.`,
      "Give a weight file, or the folder of a diffusers model.",
    );
  const remarks: string[] = [];
  for (const name of files)
    remarks.push(
      await describe(join(path, name)).then(
        ({ title }) => `${name} is ${title}.`,
        (error: unknown) => `${name} cannot be read: ${messageOf(error)}`,
      ),
    );
  return { ...base, kind: "folder", title: "a folder of weight files", components: [], missing: [], remarks };
}

const tryModel = (path: string): Promise<ModelFiles | UserError> =>
  openModel(path).catch((error: unknown) => {
    if (error instanceof UserError) return error;
    throw error;
  });

const refusalOf = (opened: ModelFiles | UserError): string[] =>
  opened instanceof UserError ? [`${opened.message} ${opened.remedy}`] : [];

const predictionOf = (opened: ModelFiles | UserError): Pick<Description, "prediction"> =>
  opened instanceof UserError ? {} : { prediction: opened.prediction };

const unused = (names: readonly string[]): string[] =>
  names.length === 0
    ? []
    : [`${names.length} tensors are not used: ${names.slice(0, 5).join(", ")}${names.length > 5 ? ", …" : ""}.`];

function describeLora(tensors: Tensors): Pick<Description, "components" | "remarks" | "lora"> {
  const byComponent = new Map<string, TensorEntry[]>();
  const ranks = new Set<number>();
  const remarks = new Set<string>();
  const unknown: string[] = [];
  const modules = new Map<string, Map<string, readonly number[]>>();
  for (const entry of tensors.values()) {
    const key = parseLoraKey(entry.name);
    const name = key?.component ?? "other";
    const group = byComponent.get(name);
    if (group) group.push(entry);
    else byComponent.set(name, [entry]);
    if (key === undefined) {
      unknown.push(entry.name);
      continue;
    }
    const method = unsupportedRole(key.role);
    if (method !== undefined) remarks.add(`It uses ${method}, which is not supported.`);
    const id = `${key.component}/${key.module}`;
    const parts = modules.get(id) ?? new Map<string, readonly number[]>();
    modules.set(id, parts.set(key.role, entry.shape));
  }
  const methods = new Set<string>();
  for (const parts of modules.values()) {
    const found = loraMethods(parts);
    for (const { name, rank } of found) {
      methods.add(name);
      if (rank !== undefined) ranks.add(rank);
    }
  }
  return {
    components: [...byComponent].map(([name, entries]) => count(name, entries)),
    remarks: [...unused(unknown), ...remarks],
    lora: {
      spelling: spellingOf(tensors),
      methods: [...methods],
      ranks: [...ranks].sort((a, b) => a - b),
      layers: modules.size,
    },
  };
}

function spellingOf(tensors: Tensors): string {
  const names = [...tensors.keys()];
  const any = (pattern: RegExp) => names.some((name) => pattern.test(name));
  if (any(/^lora_unet_(input_blocks|middle_block|output_blocks)_/)) return "kohya, names of the original UNet";
  if (any(/^(lora_(unet|te[12]?)|oft_unet)[_.]/)) return "kohya, names of diffusers";
  if (any(/^lycoris_/)) return "LyCORIS";
  if (any(/\.lora_[AB]\.|\.b?oft_R(\.|$)/)) return "PEFT";
  if (any(/\.processor\./)) return "old diffusers";
  if (any(/\.lora(_linear_layer)?\.(down|up)\./)) return "diffusers";
  if (any(/^(text_encoders\.)?clip_[lg]\.|^diffusion_model\./)) return "names of node programs";
  return "unknown";
}

function byFirstSegment(tensors: Tensors): PartDescription[] {
  const groups = new Map<string, TensorEntry[]>();
  for (const entry of tensors.values()) {
    const head = /^\d+\./.test(entry.name) ? "layers" : (entry.name.split(".")[0] ?? "");
    const group = groups.get(head);
    if (group) group.push(entry);
    else groups.set(head, [entry]);
  }
  return [...groups].map(([name, entries]) => count(name, entries));
}

function count(name: string, entries: Iterable<TensorEntry>): PartDescription {
  const dtypes: Record<string, number> = {};
  let [tensors, parameters, bytes] = [0, 0, 0];
  for (const entry of entries) {
    const n = elementCount(entry.shape);
    tensors++;
    parameters += n;
    const stored = storedAs(entry);
    bytes += stored.bytes;
    dtypes[stored.format] = (dtypes[stored.format] ?? 0) + n;
  }
  return { name, tensors, parameters, bytes, dtypes };
}
