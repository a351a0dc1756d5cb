import { readdir } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import { checkSdxl, refuseOtherKinds } from "./check-sdxl.ts";
import { openLinked, readComponentFolder } from "./component-folder.node.ts";
import { findComponents } from "./find-component.ts";
import { identify, kindOfComponent } from "./identify.ts";
import { type ModelComponent, type ModelFiles, type ModelParts, unwrapStateDict } from "./model.ts";
import { configIn, type OpenedPart, type OpenedParts, openParts } from "./open-part.node.ts";
import type { JsonObject } from "./parse-json.ts";
import { findPrediction, type GivenPrediction, type LatentScale } from "./prediction.ts";
import { exists, isFolder, readJsonIfThere } from "./read-json.node.ts";
import {
  COMPONENTS,
  type ComponentName,
  isIgnored,
  MARKS,
  modernVae,
  type SingleFileParts,
  splitSingleFile,
} from "./sdxl-single-file.ts";
import type { Tensors } from "./tensor-entry.ts";
import { unusedNotice } from "./unused-notice.ts";

export interface OpenModelOptions extends GivenPrediction {
  /** For a single file: a folder with `unet/config.json` and so on. Otherwise a folder of the file's name beside it is looked for. */
  readonly config?: string;
  /** Parts in the place of the model's own, which need not be there then: see {@link openPart}. Absent where they cannot be given. */
  readonly parts?: ModelParts;
}

/**
 * Opens an SDXL model: a diffusers folder, or one file in the original layout (safetensors, .gguf or .ckpt). Checks names
 * and shapes; reads no weights.
 *
 * The path may also be the folder's model_index.json, or one of its components; and a UNet alone, if the other parts are given.
 *
 * @throws UserError model/broken-link, model/prediction, model/missing-component, model/not-sdxl, model/refiner, model/inpainting, model/wrong-kind,
 *   model/wrong-component, model/not-a-model, model/shard-missing, model/shard-index, config/not-json, file/missing,
 *   and those of openTensors
 */
export async function openModel(path: string, options: OpenModelOptions = {}): Promise<ModelFiles> {
  const absolute = await wholeModel(resolve(path));
  const parts = await openParts(options.parts ?? {});
  const takesParts = options.parts !== undefined;
  return (await isFolder(absolute))
    ? openFolder(absolute, options, parts, takesParts)
    : openSingleFile(absolute, options, parts, takesParts);
}

/** The folder of the model that `path` is a component of, or a file in; any other path as it is. */
async function wholeModel(path: string): Promise<string> {
  if (basename(path) === "model_index.json") return dirname(path);
  const above = (await isFolder(path)) ? dirname(path) : dirname(dirname(path));
  const component = (await isFolder(path)) ? path : dirname(path);
  const isComponent =
    COMPONENTS.some((name) => basename(component) === name) &&
    !(await exists(join(component, "model_index.json"))) &&
    (await exists(join(above, "model_index.json")));
  return isComponent ? above : path;
}

async function openFolder(path: string, given: GivenPrediction, parts: OpenedParts, takesParts: boolean): Promise<ModelFiles> {
  const index = (await readJsonIfThere(path, "model_index.json")) ?? (await unetAlone(path));
  if (index === undefined) throw notAModel(path, await readdir(path));
  const pipeline = index._class_name;
  if (typeof pipeline === "string" && !/XL|PhotoMaker/.test(pipeline))
    throw new UserError(
      "model/not-sdxl",
      `${path} is a model for ${pipeline}, not SDXL.`,
      "Give an SDXL model: PhotoMaker is made for SDXL only.",
    );
  if (isAbsent(index.text_encoder) && !isAbsent(index.text_encoder_2) && parts.text_encoder === undefined)
    refuseOtherKinds("sdxl-refiner", path);

  const notices: Notice[] = [];
  const read = async (name: ComponentName): Promise<ModelComponent> => {
    const folder = index === UNET_ALONE ? (name === "unet" ? path : undefined) : join(path, name);
    const weights = folder === undefined ? undefined : await readComponentFolder(folder).catch(unlessGiven(parts[name]));
    if (parts[name] === undefined) notices.push(...(weights?.notices ?? []));
    const tensors = new Map([...(weights?.tensors ?? [])].filter(([key]) => !isIgnored(key)));
    const config =
      folder === undefined ? undefined : await readJsonIfThere(folder, "config.json").catch(unlessGiven(parts[name]));
    return { tensors: name === "vae" ? modernVae(tensors) : tensors, files: weights?.files ?? [], ...(config && { config }) };
  };
  const own = await eachComponent(read);
  const components = withParts(own, parts);
  checkSdxl({ components: tensorsOf(components), path, parts: pathsOf(parts), takesParts });
  for (const name of COMPONENTS)
    if (parts[name] === undefined && own[name].config === undefined)
      throw new UserError(
        "model/missing-component",
        `${path} has no ${index === UNET_ALONE ? "" : `${name}/`}config.json.`,
        "Download the model again, with its configs.",
      );
  const emptyPromptIsZeros = index.force_zeros_for_empty_prompt !== false;
  const { scheduler: config, ...rest } = { ...(await readRest(path, notices)), ...schedulerOf(parts) };
  const { unet = { path, inFile: new Map(), metadata: {} } } = parts;
  const source = { path: unet.path, tensors: unet.inFile, metadata: unet.metadata, scheduler: config };
  const { prediction, scheduler, latents, notices: said } = await findPrediction(source, given);
  return {
    kind: "folder",
    path,
    components: withScale(components, latents, unet.inFile.has(MARKS.edmMean)),
    ...rest,
    prediction,
    ...(scheduler && { scheduler }),
    emptyPromptIsZeros,
    parts: pathsOf(parts),
    metadata: unet.metadata,
    notices: [...noticesOf(parts, own), ...notices, ...said],
  };
}

/** What stands for the model_index.json of a folder that has a UNet and nothing else. */
const UNET_ALONE: JsonObject = {};

async function unetAlone(path: string): Promise<JsonObject | undefined> {
  const weights = await readComponentFolder(path);
  return weights !== undefined && kindOfComponent(weights.tensors) === "unet-sdxl" ? UNET_ALONE : undefined;
}

/** A failure to read what is replaced does not matter. */
const unlessGiven =
  (part: OpenedPart | undefined) =>
  (error: unknown): undefined => {
    if (part === undefined || !(error instanceof UserError)) throw error;
  };

async function openSingleFile(
  path: string,
  { config, ...given }: OpenModelOptions,
  parts: OpenedParts,
  takesParts: boolean,
): Promise<ModelFiles> {
  const file = await openLinked(path);
  const inFile = unwrapStateDict(file);
  const kind = identify(inFile);
  refuseOtherKinds(kind, path);
  const { components: found, unknown } = kind === "sdxl" ? splitSingleFile(inFile) : partsIn(inFile);

  const notices: Notice[] = unusedNotice(path, unknown);
  const configs = config === undefined ? await configsBeside(path, notices) : resolve(config);
  if (config !== undefined && !(await isFolder(resolve(config))))
    throw new UserError("file/missing", `The folder of configs ${resolve(config)} does not exist.`, "Check the path.");
  const own = await eachComponent(async (name): Promise<ModelComponent> => {
    const given = configs === undefined ? undefined : await readJsonIfThere(configs, name, "config.json");
    const json = given ?? (kind === "unet-sdxl" && name === "unet" ? await configIn(dirname(path), name) : undefined);
    return { tensors: found[name], files: [path], ...(json && { config: json }) };
  });
  const components = withParts(own, parts);
  checkSdxl({ components: tensorsOf(components), path, parts: pathsOf(parts), takesParts });
  const { scheduler: beside, ...rest } = {
    ...(configs === undefined ? {} : await readRest(configs, notices)),
    ...schedulerOf(parts),
  };
  const { unet = { path, inFile, metadata: file.metadata } } = parts;
  const source = { path: unet.path, tensors: unet.inFile, metadata: unet.metadata, scheduler: beside };
  const { prediction, scheduler, latents, notices: said } = await findPrediction(source, given);
  return {
    kind: "single-file",
    path,
    components: withScale(components, latents, unet.inFile.has(MARKS.edmMean)),
    ...rest,
    prediction,
    ...(scheduler && { scheduler }),
    emptyPromptIsZeros: true,
    parts: pathsOf(parts),
    metadata: unet.metadata,
    notices: [...noticesOf(parts, own), ...notices, ...said],
  };
}

/** Parts of a file that is not a whole checkpoint: a UNet alone, or some of the others with it. */
function partsIn(tensors: Tensors): SingleFileParts {
  const found = findComponents(tensors);
  return {
    components: Object.fromEntries(
      COMPONENTS.map((name) => [name, found.get(name)?.tensors ?? new Map()]),
    ) as SingleFileParts["components"],
    unknown: [...found.values()].flatMap(({ unknown }) => unknown),
  };
}

/**
 * The components of a model, with parts in the place of its own. A part without a config has that of the model, if the weights are alike in
 * names and shapes or the model has none; else it is worked out from the weights.
 */
const withParts = (own: ModelFiles["components"], parts: OpenedParts): ModelFiles["components"] =>
  Object.fromEntries(
    COMPONENTS.map((name) => {
      const part = parts[name];
      if (part === undefined) return [name, own[name]];
      const fits = own[name].tensors.size === 0 || isAlike(own[name].tensors, part.tensors);
      const config = part.config ?? (fits ? own[name].config : undefined);
      return [name, { tensors: part.tensors, files: part.files, ...(config && { config }) }];
    }),
  ) as ModelFiles["components"];

/** Whether `other` has all of these tensors in the same shapes, except for the projection of a first text encoder, which nothing needs. */
const isAlike = (tensors: Tensors, other: Tensors): boolean =>
  [...tensors].every(([name, { shape }]) => name === "text_projection.weight" || other.get(name)?.shape.join() === shape.join());

const pathsOf = (parts: OpenedParts): ModelParts =>
  Object.fromEntries(Object.entries(parts).map(([name, { path }]) => [name, path]));

const schedulerOf = ({ unet }: OpenedParts): Pick<ModelFiles, "scheduler"> => ({
  ...(unet?.scheduler && { scheduler: unet.scheduler }),
});

/** The scaling factor of SDXL's VAE, and of one whose config has none, as those of Stable Diffusion 1.x. */
const SCALING_FACTOR = { sdxl: 0.13025, unsaid: 0.18215 };

/** Notices about parts. The VAEs of SDXL and of Stable Diffusion 1.x have the same shapes: their configs alone show which it is. */
function noticesOf(parts: OpenedParts, own: ModelFiles["components"]): Notice[] {
  const factorOf = (config: JsonObject): unknown => config.scaling_factor ?? SCALING_FACTOR.unsaid;
  const { vae } = parts;
  const wanted = own.vae.config === undefined ? SCALING_FACTOR.sdxl : factorOf(own.vae.config);
  const other = vae?.config !== undefined && factorOf(vae.config) !== wanted;
  const scaling: Notice[] = other
    ? [
        {
          code: "model/other-latents",
          message: `The VAE ${vae.path} scales latents by ${factorOf(vae.config!)} and the model's own by ${wanted}: it may belong to another kind of model.`,
        },
      ]
    : [];
  return [...Object.values(parts).flatMap(({ notices }) => notices), ...scaling];
}

/** The components with the scale of latents that the weights declare, or that is usual where the VAE's config says none. */
function withScale(
  components: ModelFiles["components"],
  latents: LatentScale | undefined,
  declared: boolean,
): ModelFiles["components"] {
  const { vae } = components;
  if (latents === undefined || (!declared && vae.config?.latents_mean != null)) return components;
  return { ...components, vae: { ...vae, latents } };
}

async function configsBeside(path: string, notices: Notice[]): Promise<string | undefined> {
  const folder = path.slice(0, path.length - extname(path).length);
  if (folder === path || !(await exists(join(folder, "model_index.json")))) return undefined;
  notices.push({ code: "model/config-found", message: `The configs of ${folder} are used.` });
  return folder;
}

async function readRest(path: string, notices: Notice[]): Promise<Pick<ModelFiles, "scheduler" | "tokenizers">> {
  const scheduler = await readJsonIfThere(path, "scheduler", "scheduler_config.json");
  if (scheduler === undefined)
    notices.push({
      code: "model/no-scheduler",
      message: `${path} has no scheduler/scheduler_config.json: SDXL's usual schedule is used.`,
    });
  const tokenizers = { tokenizer: join(path, "tokenizer"), tokenizer_2: join(path, "tokenizer_2") };
  const both = (await isFolder(tokenizers.tokenizer)) && (await isFolder(tokenizers.tokenizer_2));
  if (!both) notices.push({ code: "model/no-tokenizer", message: `${path} lacks a tokenizer: the embedded vocabulary is used.` });
  return { ...(scheduler && { scheduler }), ...(both && { tokenizers }) };
}

async function eachComponent<T>(make: (name: ComponentName) => Promise<T>): Promise<Record<ComponentName, T>> {
  const out: Partial<Record<ComponentName, T>> = {};
  for (const name of COMPONENTS) out[name] = await make(name);
  return out as Record<ComponentName, T>;
}

const tensorsOf = (components: ModelFiles["components"]): Record<ComponentName, Tensors> =>
  Object.fromEntries(COMPONENTS.map((name) => [name, components[name].tensors])) as Record<ComponentName, Tensors>;

/** model_index.json says [null, null] for what a pipeline goes without. */
const isAbsent = (value: unknown): boolean => Array.isArray(value) && value[0] === null;

function notAModel(path: string, inside: readonly string[]): UserError {
  const checkpoint = inside.find((name) => /\.(safetensors|gguf|ckpt|bin)$/.test(name));
  const remedy = checkpoint
    ? `Give the file itself, such as ${join(path, checkpoint)}.`
    : "Give the folder that has model_index.json in it.";
  return new UserError("model/not-a-model", `${path} has no model_index.json, so it is not a diffusers model.`, remedy);
}
