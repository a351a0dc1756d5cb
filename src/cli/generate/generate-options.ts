import { extname } from "node:path";
import { drawnImages } from "../../contract/drawn-images.ts";
import { peopleOf } from "../../contract/person.ts";
import {
  checkPhotos,
  type GenerateRequest,
  type LoadOptions,
  parseGenerateRequest,
  parseLoadOptions,
  parseOptions,
} from "../../contract/request.ts";
import type { NameOf } from "../../contract/request-error.ts";
import { UserError } from "../../core/errors.ts";
import type { Notice } from "../../core/notice.ts";
import { MOST_WEBP_SIDE, type PictureFormat } from "../../image/picture-format.ts";
import { parsePrompt } from "../../text/prompt-tree.ts";
import { hasChoices } from "../../text/wildcards.ts";
import type { DefaultModels } from "../models/user-settings.ts";
import { readConfig, type Sections } from "./config-file.ts";
import { ALL_FLAGS, camelCase } from "./generate-flags.ts";
import { withPromptLoras } from "./lora-folder.ts";
import { OutputOptions } from "./output-options.ts";
import { photoFiles } from "./photo-files.ts";
import { formatOfName, STDOUT } from "./picture-files.ts";
import { readPromptsFile } from "./prompts-file.ts";

export interface GenerateOptions {
  readonly load: LoadOptions;
  /** The first of `requests`. */
  readonly request: GenerateRequest;
  /** One, or those of a list of prompts, which are drawn one after the other. */
  readonly requests: readonly GenerateRequest[];
  /** Where each request stands in the list of prompts, if one is given. */
  readonly lines: readonly number[] | undefined;
  readonly output: OutputOptions & { readonly format: PictureFormat };
  /** Notices about photos that folders and patterns named. */
  readonly notices: readonly Notice[];
}

/** Values that commander read, by commander's names. */
export type FlagValues = Readonly<Record<string, string | readonly string[] | boolean | undefined>>;

const FLAG_OF: ReadonlyMap<string, string> = new Map(ALL_FLAGS.map(({ key, name }) => [key, name]));

/** Name of a field's flag. */
export const flagName = (path: readonly PropertyKey[]): string => FLAG_OF.get(String(path[0])) ?? path.map(String).join(".");

/**
 * Merges and checks flags and config file. Flags take precedence.
 * @param otherwise models for a request that names none
 * @throws UserError model/missing, and those of readConfig, photoFiles, parseGenerateRequest, parseLoadOptions, withPromptLoras, checkPhotos and readOutput
 */
export async function generateOptions(
  values: FlagValues,
  otherwise: () => Promise<DefaultModels | undefined> = async () => undefined,
): Promise<GenerateOptions> {
  const given = readFlags(values);
  const keys = new Set(Object.values(given).flatMap((section) => Object.keys(section)));
  const read = typeof values.config === "string" ? await readConfig(values.config, keys) : undefined;
  const config = read?.sections;
  const notices: Notice[] = [...(read?.notices ?? [])];
  const lines = typeof values.prompts === "string" ? await readPromptsFile(values.prompts) : undefined;
  const merges: { readonly merged: Record<string, unknown>; readonly nameOf: NameOf }[] = [];
  for (const { line, request: own } of lines ?? [{ line: 0, request: {} }]) {
    const merged = merge(merge(config?.request ?? {}, given.request), own);
    const nameOf: NameOf = line === 0 ? flagName : (path) => `${flagName(path)} (line ${line} of ${String(values.prompts)})`;
    if (isTexts(merged.inputIdImages)) {
      const photos = await photoFiles(merged.inputIdImages, { repeated: merged.idEmbeds !== undefined });
      merged.inputIdImages = photos.paths;
      for (const notice of photos.notices) if (!notices.some(({ message }) => message === notice.message)) notices.push(notice);
    }
    merges.push({ merged, nameOf });
  }
  const requestsOf = (under: object) => merges.map(({ merged, nameOf }) => parseGenerateRequest({ ...under, ...merged }, nameOf));
  // what is wrong with the request is told before a model is asked for
  const asked = requestsOf({});
  if (lines !== undefined)
    for (const [i, { line }] of lines.entries()) checkSyntax(asked[i]!, `prompt in line ${line} of ${String(values.prompts)}`);
  const output = readOutput({ ...config?.output, ...given.output }, asked);
  const models = { ...config?.load, ...given.load };
  const chosen = models.model === undefined ? await modelsFrom(otherwise) : undefined;
  const requests = requestsOf(chosen?.request ?? {});
  if (chosen !== undefined) notices.push(usesDefault(chosen));
  // one run needs each model once, and memory is scarce
  const unloadAfterUse = requests.length === 1;
  const loaded = parseLoadOptions({ unloadAfterUse, ...withDefault(models, chosen, requests) }, flagName);
  // a LoRA that one of several prompts names would change the others, too
  const load = requests.length === 1 ? await withPromptLoras(loaded, requests[0]!) : loaded;
  for (const request of requests) checkPhotos(load.adapter !== undefined, request, flagName);
  const [request] = requests as [GenerateRequest];
  return { load, request, requests, lines: lines?.map(({ line }) => line), output, notices };
}

/** @throws UserError model/missing */
async function modelsFrom(otherwise: () => Promise<DefaultModels | undefined>): Promise<DefaultModels> {
  const chosen = await otherwise();
  if (chosen !== undefined) return chosen;
  throw new UserError(
    "model/missing",
    "--model is missing.",
    'Choose and download one, once: photomaker setup (without a terminal: photomaker setup --set quick --yes). Or name an SDXL model: a diffusers folder, a .safetensors file, or org/name on the Hugging Face hub. Without any download: "photomaker setup --set miniature".',
  );
}

const usesDefault = ({ set, load }: DefaultModels): Notice => ({
  code: "setup/default",
  message: `No model is named: the default is taken, ${set} (${load.model}). "photomaker setup" changes it.`,
});

/**
 * The models of a command with those of the default: its LoRAs stay, and its adapter is left out where no prompt speaks of a person.
 * @param models as flags and config name them
 */
function withDefault(
  models: Readonly<Record<string, unknown>>,
  chosen: DefaultModels | undefined,
  requests: readonly GenerateRequest[],
): Record<string, unknown> {
  if (chosen === undefined) return models;
  const { adapter, loras = [], ...rest } = chosen.load;
  const trigger = typeof models.triggerWord === "string" ? models.triggerWord : "img";
  const ofPerson = requests.some((request) => peopleOf(request).length > 0 || request.prompt.includes(trigger));
  return {
    ...(adapter !== undefined && ofPerson && { adapter }),
    ...rest,
    ...models,
    loras: [...loras, ...((models.loras as LoadOptions["loras"] | undefined) ?? [])],
  };
}

/** Refuses a prompt of a list before the first one is drawn. What choices bring is not known yet. @throws UserError those of parsePrompt */
function checkSyntax({ prompt, promptSyntax }: GenerateRequest, what: string): void {
  if (promptSyntax !== "none" && !hasChoices(prompt)) parsePrompt(prompt, what);
}

/** A request's options with others that win; two spellings of one thing count as one. */
function merge(under: Readonly<Record<string, unknown>>, over: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...under, ...over };
  if ("startMergeStep" in over && !("styleStrength" in over)) delete merged.styleStrength;
  if ("styleStrength" in over && !("startMergeStep" in over)) delete merged.startMergeStep;
  if ("inputIdImages" in over) for (const key of ["people", "idTokens"]) if (!(key in over)) delete merged[key];
  return merged;
}

/** Whether a value is a list of paths; the schema refuses anything else. */
const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((each) => typeof each === "string" && each !== "");

function readFlags(values: FlagValues): Sections {
  const sections: Sections = { load: {}, request: {}, output: {} };
  for (const { section, key, name, isList, parse } of ALL_FLAGS) {
    const value = values[camelCase(name)];
    if (value === undefined) continue;
    const read = (text: string): unknown => parse?.(text, name) ?? text;
    sections[section][key] =
      typeof value === "boolean" ? value : isList ? [value].flat().map((each) => read(String(each))) : read(String(value));
  }
  return sections;
}

/** @throws UserError out/wrong-type, out/format, out/unknown-format, out/quality, out/too-large, picture/long-settings, out/one-file, out/stdout, out/json, and those of parseOptions */
function readOutput(given: Readonly<Record<string, unknown>>, requests: readonly GenerateRequest[]): GenerateOptions["output"] {
  for (const name of ["out", "saveLatents"])
    if (given[name] !== undefined && (typeof given[name] !== "string" || given[name] === ""))
      throw new UserError(
        "out/wrong-type",
        `${flagName([name])} is ${JSON.stringify(given[name])}, and must be a path.`,
        "Correct it.",
      );
  const output = parseOptions(OutputOptions, given, flagName);
  const { out, saveLatents } = output;
  const preview = requests.some((request) => request.preview);
  const count = requests.reduce((sum, request) => sum + drawnImages(request), 0);
  if (saveLatents !== undefined && requests.length > 1)
    throw new UserError(
      "out/one-file",
      `--save-latents is the one file ${saveLatents}, and ${requests.length} prompts are given.`,
      "Leave it out, or give the prompts one at a time.",
    );
  if (saveLatents === STDOUT)
    throw new UserError("out/stdout", "--save-latents is -, but latents are not written to stdout.", "Name a file.");
  if (out === STDOUT && output.json)
    throw new UserError(
      "out/json",
      "Both the picture and --json would go to stdout.",
      "Leave out --json, or name a file with --out.",
    );
  if (out === STDOUT && preview)
    throw new UserError(
      "out/one-file",
      "--out - takes one picture, but --preview writes more.",
      "Name a folder, or leave out --preview.",
    );
  const named = formatOfName(out);
  if ((named !== undefined || out === STDOUT) && count > 1)
    throw new UserError(
      "out/one-file",
      `--out is ${out === STDOUT ? "stdout" : `the one file ${out}`}, but ${count} pictures are requested.`,
      "Name a folder.",
    );
  return { ...output, format: formatOf(output, requests) };
}

/** Format of the pictures, checked against their name, quality, size and texts. @throws UserError as readOutput */
function formatOf({ out, format, quality, lossless }: OutputOptions, requests: readonly GenerateRequest[]): PictureFormat {
  const end = extname(out);
  if (/^\.(gif|bmp|tiff?|avif|heic|jxl|jp2|svg|pdf)$/i.test(end))
    throw new UserError(
      "out/unknown-format",
      `--out is ${out}, but pictures are written as PNG, JPEG or WebP.`,
      `Name a folder, or ${out.slice(0, -end.length)}.png, .jpg or .webp.`,
    );
  const named = formatOfName(out);
  if (named !== undefined && format !== undefined && named !== format)
    throw new UserError("out/format", `--out is ${out}, and --format is ${format}.`, "Leave one of them out.");
  const chosen = format ?? named ?? "png";
  if (chosen === "png" && quality !== undefined)
    throw new UserError(
      "out/quality",
      `--quality is ${quality}, but a PNG keeps every pixel as it is.`,
      "Leave it out, or write JPEG or WebP: --format webp.",
    );
  if (lossless && (chosen === "jpeg" || quality !== undefined))
    throw new UserError(
      "out/quality",
      chosen === "jpeg" ? "--lossless is given, but a JPEG is never without loss." : "--lossless and --quality are both given.",
      chosen === "jpeg" ? "Write WebP or PNG, or leave it out." : "Keep one.",
    );
  const side = Math.max(...requests.flatMap(({ width = 0, height = 0 }) => [width, height]));
  if (chosen === "webp" && side > MOST_WEBP_SIDE)
    throw new UserError(
      "out/too-large",
      `A WebP has at most ${MOST_WEBP_SIDE} pixels along a side, and ${side} are asked for.`,
      "Write PNG or JPEG.",
    );
  if (chosen === "jpeg")
    for (const request of requests) {
      const texts = [request.prompt, request.prompt2, request.negativePrompt, request.negativePrompt2].join("").length;
      if (texts > MOST_JPEG_TEXTS)
        throw new UserError(
          "picture/long-settings",
          `The prompts have ${texts} characters, and a JPEG holds the settings of ${MOST_JPEG_TEXTS}.`,
          "Write PNG or WebP, which hold texts of any length.",
        );
    }
  return chosen;
}

/** Characters of prompts that surely have room in a JPEG's settings: there they stand twice, in two bytes, and in up to three or in six. */
const MOST_JPEG_TEXTS = 8000;
