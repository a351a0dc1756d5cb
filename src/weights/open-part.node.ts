import { readdir } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import { PART_NAMES, wrongPart } from "./check-sdxl.ts";
import { openLinked, readComponentFolder } from "./component-folder.node.ts";
import { findComponent } from "./find-component.ts";
import { identify } from "./identify.ts";
import { type ModelComponent, type ModelParts, unwrapStateDict } from "./model.ts";
import type { JsonObject } from "./parse-json.ts";
import { exists, isFolder, readJsonIfThere } from "./read-json.node.ts";
import { COMPONENTS, type ComponentName } from "./sdxl-single-file.ts";
import { sliceRows, type Tensors } from "./tensor-entry.ts";
import { unusedNotice } from "./unused-notice.ts";

/** A part of a model that was given apart. */
export interface OpenedPart extends ModelComponent {
  /** Absolute path of what was given. */
  readonly path: string;
  /** All tensors as they are named in the file, which may mark how the UNet was trained. */
  readonly inFile: Tensors;
  readonly metadata: Readonly<Record<string, string>>;
  /** That of the model's folder that a UNet was taken from. */
  readonly scheduler?: JsonObject;
  readonly notices: readonly Notice[];
}

export type OpenedParts = { readonly [Name in ComponentName]?: OpenedPart };

/**
 * Opens the parts of a model that are given apart, each by {@link openPart}.
 * @throws UserError those of openPart
 */
export async function openParts(parts: ModelParts): Promise<OpenedParts> {
  const opened: { [Name in ComponentName]?: OpenedPart } = {};
  for (const name of COMPONENTS) {
    const path = parts[name];
    if (path !== undefined) opened[name] = await openPart(path, name);
  }
  return opened;
}

/**
 * Opens one part of a model: a component's folder, a file of the component alone in any layout, or a whole checkpoint or model's folder, of which
 * the other parts are left. Reads no weights.
 *
 * @param path the folder's model_index.json, config.json or index of shards stand for the folder
 * @throws UserError model/missing-component, model/wrong-kind, model/not-sdxl, model/refiner, model/inpainting, model/not-a-model,
 *   and those of readComponentFolder and openTensors
 */
export async function openPart(path: string, name: ComponentName): Promise<OpenedPart> {
  const absolute = resolve(path);
  if (await isFolder(absolute)) return openPartFolder(absolute, name);
  const stands = /\.json$|-\d+-of-\d+.*\.(safetensors|bin)$/.test(basename(absolute)) && (await exists(absolute));
  return stands ? openPartFolder(dirname(absolute), name) : openPartFile(absolute, name);
}

async function openPartFolder(path: string, name: ComponentName): Promise<OpenedPart> {
  for (const folder of [join(path, name), path]) {
    const weights = await readComponentFolder(folder);
    if (weights === undefined) continue;
    const part = await partOf(weights.tensors, name, path, folder);
    const whole = folder !== path ? path : basename(path) === name ? dirname(path) : undefined;
    const scheduler =
      name === "unet" && whole !== undefined ? await readJsonIfThere(whole, "scheduler", "scheduler_config.json") : undefined;
    return {
      ...part,
      files: weights.files,
      inFile: weights.tensors,
      metadata: {},
      ...(scheduler && { scheduler }),
      notices: [...weights.notices, ...part.notices],
    };
  }
  if (await exists(join(path, "model_index.json")))
    throw new UserError(
      "model/missing-component",
      `${path} has no ${name}.`,
      "Give a model's folder or a file that has this part.",
    );
  const files = (await readdir(path)).filter((file) => /\.(safetensors|ckpt|bin|pth?|gguf)$/.test(file)).sort();
  if (files.length === 1) return openPartFile(join(path, files[0]!), name);
  throw new UserError(
    "model/not-a-model",
    `${path} has ${files.length === 0 ? "no weights" : "several files of weights"} in it, and no folder ${name}.`,
    files.length === 0
      ? `Give the file or the folder of the ${PART_NAMES[name]}.`
      : `Give the file itself, such as ${join(path, files[0]!)}.`,
  );
}

async function openPartFile(path: string, name: ComponentName): Promise<OpenedPart> {
  const file = await openLinked(path);
  const inFile = unwrapStateDict(file);
  const part = await partOf(inFile, name, path, dirname(path));
  const config = part.config ?? (await configNamedAfter(path, name));
  return { ...part, ...(config && { config }), files: [file.path], inFile, metadata: file.metadata };
}

/** @param folder where a config.json of this component may lie */
async function partOf(
  tensors: Tensors,
  name: ComponentName,
  path: string,
  folder: string,
): Promise<Pick<OpenedPart, "path" | "tensors" | "config" | "notices">> {
  const kind = identify(tensors);
  // older models have the same first text encoder and, by its shapes, the same VAE, whose latents are others
  const older = kind === "sd1" || kind === "sd2";
  const found = older && name !== "text_encoder" ? undefined : findComponent(tensors, name);
  if (found === undefined) throw wrongPart(path, name, kind);
  const config = await configIn(folder, name);
  const part = { path, tensors: found.tensors, ...(config && { config }), notices: unusedNotice(path, found.unknown) };
  return name.startsWith("text_encoder") ? atMost77(part) : part;
}

/** Positions of SDXL's text encoders. */
const POSITIONS = 77;

/** A text encoder without positions that no text of SDXL has, as Long-CLIP adds them behind: both encoders need equally many. */
function atMost77<P extends Pick<OpenedPart, "path" | "tensors" | "config" | "notices">>(part: P): P {
  const name = "text_model.embeddings.position_embedding.weight";
  const entry = part.tensors.get(name);
  const count = entry?.shape[0] ?? 0;
  if (entry === undefined || count <= POSITIONS) return part;
  return {
    ...part,
    tensors: new Map([...part.tensors, [name, sliceRows(entry, 0, POSITIONS)]]),
    ...(part.config && { config: { ...part.config, max_position_embeddings: POSITIONS } }),
    notices: [
      ...part.notices,
      {
        code: "model/positions",
        message: `${part.path}: the first ${POSITIONS} of its ${count} positions are used, as SDXL has them.`,
      },
    ],
  };
}

/** The config.json of a folder, if it describes such a component. */
export async function configIn(folder: string, name: ComponentName): Promise<JsonObject | undefined> {
  const config = await readJsonIfThere(folder, "config.json");
  return config !== undefined && describes(config, name) ? config : undefined;
}

/** The config in a folder of the file's name beside it: of the component, or of a model. */
async function configNamedAfter(path: string, name: ComponentName): Promise<JsonObject | undefined> {
  const folder = path.slice(0, path.length - extname(path).length);
  return folder === path ? undefined : ((await configIn(join(folder, name), name)) ?? configIn(folder, name));
}

/** Whether a config is one of such a component: one beside a file may be another's. */
function describes(config: JsonObject, name: ComponentName): boolean {
  if (name === "unet") return config._class_name === "UNet2DConditionModel" || Array.isArray(config.down_block_types);
  if (name === "vae") return config._class_name === "AutoencoderKL";
  const architecture = Array.isArray(config.architectures) ? config.architectures[0] : undefined;
  return config.model_type === "clip_text_model" || /^CLIPTextModel/.test(String(architecture));
}
