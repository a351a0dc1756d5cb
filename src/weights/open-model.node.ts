import { readdir } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import { checkSdxl, refuseOtherKinds } from "./check-sdxl.ts";
import { openLinked, readComponentFolder } from "./component-folder.node.ts";
import { identify } from "./identify.ts";
import { type ModelComponent, type ModelFiles, unwrapStateDict } from "./model.ts";
import type { JsonObject } from "./parse-json.ts";
import { exists, isFolder, readJsonIfThere, readJsonObject } from "./read-json.node.ts";
import { COMPONENTS, type ComponentName, isIgnored, MARKS, modernVae, splitSingleFile } from "./sdxl-single-file.ts";
import type { TensorEntry, Tensors } from "./tensor-entry.ts";

export interface OpenModelOptions {
  /** For a single file: a folder with `unet/config.json` and so on. Otherwise a folder of the file's name beside it is looked for. */
  readonly config?: string;
}

/**
 * Opens an SDXL model: a diffusers folder, or one file in the original layout (safetensors or .ckpt). Checks names
 * and shapes; reads no weights.
 *
 * The path may also be the folder's model_index.json, or one of its components.
 *
 * @throws UserError model/broken-link, model/prediction, model/missing-component, model/not-sdxl, model/refiner, model/inpainting, model/wrong-kind,
 *   model/wrong-component, model/not-a-model, model/shard-missing, model/shard-index, config/not-json, file/missing,
 *   and those of openTensors
 */
export async function openModel(path: string, options: OpenModelOptions = {}): Promise<ModelFiles> {
  const absolute = await wholeModel(resolve(path));
  return (await isFolder(absolute)) ? openFolder(absolute) : openSingleFile(absolute, options);
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

async function openFolder(path: string): Promise<ModelFiles> {
  const index = await readJsonIfThere(path, "model_index.json");
  if (index === undefined) throw notAModel(path, await readdir(path));
  const pipeline = index._class_name;
  if (typeof pipeline === "string" && !/XL|PhotoMaker/.test(pipeline))
    throw new UserError(
      "model/not-sdxl",
      `${path} is a model for ${pipeline}, not SDXL.`,
      "Give an SDXL model: PhotoMaker is made for SDXL only.",
    );
  if (isAbsent(index.text_encoder) && !isAbsent(index.text_encoder_2)) refuseOtherKinds("sdxl-refiner", path);

  const notices: Notice[] = [];
  const read = async (name: ComponentName): Promise<ModelComponent> => {
    const weights = await readComponentFolder(join(path, name));
    notices.push(...(weights?.notices ?? []));
    const tensors = new Map([...(weights?.tensors ?? [])].filter(([key]) => !isIgnored(key)));
    return { tensors: name === "vae" ? modernVae(tensors) : tensors, files: weights?.files ?? [] };
  };
  const bare = await eachComponent(read);
  checkSdxl(tensorsOf(bare), path);
  const components = await eachComponent(async (name) => ({
    ...bare[name],
    config: await readJsonObject(join(path, name, "config.json")).catch((error: unknown) => {
      throw error instanceof UserError && error.code === "file/missing"
        ? new UserError(
            "model/missing-component",
            `${path} has no ${name}/config.json.`,
            "Download the model again, with its configs.",
          )
        : error;
    }),
  }));
  const emptyPromptIsZeros = index.force_zeros_for_empty_prompt !== false;
  const sharpDecoder = await openSharpDecoder(path);
  return {
    kind: "folder",
    path,
    components,
    ...(sharpDecoder && { sharpDecoder }),
    ...(await readRest(path, notices)),
    emptyPromptIsZeros,
    metadata: {},
    notices,
  };
}

async function openSharpDecoder(path: string): Promise<ModelComponent | undefined> {
  const folder = join(path, "sharp_decoder");
  if (!(await exists(folder))) return undefined;
  const weights = await readComponentFolder(folder);
  if (weights === undefined) return undefined;
  return { tensors: weights.tensors, files: weights.files, config: await readJsonObject(join(folder, "config.json")) };
}

async function openSingleFile(path: string, { config }: OpenModelOptions): Promise<ModelFiles> {
  const file = await openLinked(path);
  const tensors = unwrapStateDict(file);
  refuseOtherKinds(identify(tensors), path);
  const { components: parts, unknown } = splitSingleFile(tensors);
  checkSdxl(parts, path);

  const notices: Notice[] = [];
  if (unknown.length > 0)
    notices.push({
      code: "model/unknown-names",
      message: `${path}: ${count(unknown.length, "tensor")} not used: ${someOf(unknown)}.`,
    });
  const configs = config === undefined ? await configsBeside(path, notices) : resolve(config);
  if (config !== undefined && !(await isFolder(resolve(config))))
    throw new UserError("file/missing", `The folder of configs ${resolve(config)} does not exist.`, "Check the path.");
  const components = await eachComponent(async (name): Promise<ModelComponent> => {
    const own = configs === undefined ? undefined : await readJsonIfThere(configs, name, "config.json");
    return { tensors: parts[name], files: [path], ...(own && { config: own }) };
  });
  const rest = configs === undefined ? {} : await readRest(configs, notices);
  return {
    kind: "single-file",
    path,
    components,
    ...rest,
    ...prediction(path, tensors, file.metadata, rest.scheduler, notices),
    emptyPromptIsZeros: true,
    metadata: file.metadata,
    notices,
  };
}

/**
 * What trainers mark in the weights themselves, or say in the metadata, outweighs a config that was taken from elsewhere.
 * @see huggingface.co/stabilityai/cosxl; huggingface.co/playgroundai/playground-v2.5-1024px-aesthetic; Stability-AI/ModelSpec
 * @throws UserError model/prediction for Playground 2.5, and predictions that are unknown
 */
function prediction(
  path: string,
  tensors: Tensors,
  metadata: Readonly<Record<string, string>>,
  scheduler: JsonObject | undefined,
  notices: Notice[],
): { scheduler?: JsonObject } {
  const refuse = (what: string): UserError =>
    new UserError(
      "model/prediction",
      `${path} ${what}, which is not supported.`,
      "Give an SDXL checkpoint that predicts noise (epsilon) or velocity (v).",
    );
  if (tensors.has(MARKS.edmMean) || tensors.has(MARKS.edmDeviation))
    throw refuse("is Playground 2.5 or trained like it: its latents have a mean and deviation of their own (edm_mean, edm_std)");
  if (tensors.has(MARKS.edmMax) || tensors.has(MARKS.edmMin))
    throw refuse("is CosXL or trained like it: it predicts velocity over continuous noise levels (edm_vpred.sigma_max)");
  const said = (metadata["modelspec.prediction_type"] ?? metadata["modelspec.predict_key"])?.toLowerCase();
  const velocity =
    tensors.has(MARKS.vPrediction) ||
    said === "v" ||
    said === "v_prediction" ||
    metadata.ss_v_parameterization?.toLowerCase() === "true";
  if (!velocity) {
    if (said === undefined || said === "" || said === "epsilon" || said === "eps") return {};
    throw refuse(`says in its metadata that it predicts "${said}"`);
  }
  const zeroSnr = tensors.has(MARKS.zeroSnr) || metadata.ss_zero_terminal_snr?.toLowerCase() === "true";
  notices.push({
    code: "model/v-prediction",
    message: `The file says that it predicts velocity${zeroSnr ? " with zero terminal SNR" : ""}.`,
  });
  return { scheduler: { ...scheduler, prediction_type: "v_prediction", ...(zeroSnr && { rescale_betas_zero_snr: true }) } };
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

const tensorsOf = (
  components: Record<ComponentName, { tensors: Tensors }>,
): Record<ComponentName, ReadonlyMap<string, TensorEntry>> =>
  Object.fromEntries(COMPONENTS.map((name) => [name, components[name].tensors])) as Record<ComponentName, Tensors>;

/** model_index.json says [null, null] for what a pipeline goes without. */
const isAbsent = (value: unknown): boolean => Array.isArray(value) && value[0] === null;

function notAModel(path: string, inside: readonly string[]): UserError {
  const checkpoint = inside.find((name) => /\.(safetensors|ckpt|bin)$/.test(name));
  const remedy = checkpoint
    ? `Give the file itself, such as ${join(path, checkpoint)}.`
    : "Give the folder that has model_index.json in it.";
  return new UserError("model/not-a-model", `${path} has no model_index.json, so it is not a diffusers model.`, remedy);
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? " is" : "s are"}`;

const someOf = (names: readonly string[]): string => names.slice(0, 3).join(", ") + (names.length > 3 ? ", …" : "");
