import { extname } from "node:path";
import { drawnImages } from "../../contract/drawn-images.ts";
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
import { parsePrompt } from "../../text/prompt-tree.ts";
import { hasChoices } from "../../text/wildcards.ts";
import { readConfig, type Sections } from "./config-file.ts";
import { ALL_FLAGS, camelCase } from "./generate-flags.ts";
import { withPromptLoras } from "./lora-folder.ts";
import { OutputOptions } from "./output-options.ts";
import { photoFiles } from "./photo-files.ts";
import { STDOUT } from "./picture-files.ts";
import { readPromptsFile } from "./prompts-file.ts";

export interface GenerateOptions {
  readonly load: LoadOptions;
  /** The first of `requests`. */
  readonly request: GenerateRequest;
  /** One, or those of a list of prompts, which are drawn one after the other. */
  readonly requests: readonly GenerateRequest[];
  /** Where each request stands in the list of prompts, if one is given. */
  readonly lines: readonly number[] | undefined;
  readonly output: OutputOptions;
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
 * @throws UserError those of readConfig, photoFiles, parseGenerateRequest, parseLoadOptions, withPromptLoras, checkPhotos and readOutput
 */
export async function generateOptions(values: FlagValues): Promise<GenerateOptions> {
  const given = readFlags(values);
  const keys = new Set(Object.values(given).flatMap((section) => Object.keys(section)));
  const read = typeof values.config === "string" ? await readConfig(values.config, keys) : undefined;
  const config = read?.sections;
  const notices: Notice[] = [...(read?.notices ?? [])];
  const lines = typeof values.prompts === "string" ? await readPromptsFile(values.prompts) : undefined;
  const requests: GenerateRequest[] = [];
  for (const { line, request: own } of lines ?? [{ line: 0, request: {} }]) {
    const merged = merge(merge(config?.request ?? {}, given.request), own);
    const nameOf: NameOf = line === 0 ? flagName : (path) => `${flagName(path)} (line ${line} of ${String(values.prompts)})`;
    if (isTexts(merged.inputIdImages)) {
      const photos = await photoFiles(merged.inputIdImages, { repeated: merged.idEmbeds !== undefined });
      merged.inputIdImages = photos.paths;
      for (const notice of photos.notices) if (!notices.some(({ message }) => message === notice.message)) notices.push(notice);
    }
    const request = parseGenerateRequest(merged, nameOf);
    if (lines !== undefined) checkSyntax(request, `prompt in line ${line} of ${String(values.prompts)}`);
    requests.push(request);
  }
  // one run needs each model once, and memory is scarce
  const unloadAfterUse = requests.length === 1;
  const loaded = parseLoadOptions({ unloadAfterUse, ...config?.load, ...given.load }, flagName);
  // a LoRA that one of several prompts names would change the others, too
  const load = requests.length === 1 ? await withPromptLoras(loaded, requests[0]!) : loaded;
  for (const request of requests) checkPhotos(load.adapter !== undefined, request, flagName);
  const [request] = requests as [GenerateRequest];
  const output = readOutput({ ...config?.output, ...given.output }, requests);
  return { load, request, requests, lines: lines?.map(({ line }) => line), output, notices };
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

/** @throws UserError out/wrong-type, out/not-png, out/one-file, out/stdout, out/json, and those of parseOptions */
function readOutput(given: Readonly<Record<string, unknown>>, requests: readonly GenerateRequest[]): OutputOptions {
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
  const end = extname(out).toLowerCase();
  if (/^\.(jpe?g|webp|gif|bmp|tiff?|avif)$/.test(end))
    throw new UserError(
      "out/not-png",
      `--out is ${out}, but pictures are written as PNG.`,
      `Name a folder, or ${out.slice(0, -end.length)}.png.`,
    );
  if ((end === ".png" || out === STDOUT) && count > 1)
    throw new UserError(
      "out/one-file",
      `--out is ${out === STDOUT ? "stdout" : `the one file ${out}`}, but ${count} pictures are requested.`,
      "Name a folder.",
    );
  return output;
}
