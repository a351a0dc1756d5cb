import { extname } from "node:path";
import { drawnImages } from "../contract/drawn-images.ts";
import {
  checkPhotos,
  type GenerateRequest,
  type LoadOptions,
  parseGenerateRequest,
  parseLoadOptions,
  parseOptions,
} from "../contract/request.ts";
import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import { readConfig, type Sections } from "./config-file.ts";
import { ALL_FLAGS, camelCase } from "./generate-flags.ts";
import { withPromptLoras } from "./lora-folder.ts";
import { OutputOptions } from "./output-options.ts";
import { photoFiles } from "./photo-files.ts";
import { STDOUT } from "./picture-files.ts";

export interface GenerateOptions {
  readonly load: LoadOptions;
  readonly request: GenerateRequest;
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
  const config = typeof values.config === "string" ? await readConfig(values.config, keys) : undefined;
  const request: Record<string, unknown> = { ...config?.request, ...given.request };
  const notices: Notice[] = [];
  if (isTexts(request.inputIdImages)) {
    const photos = await photoFiles(request.inputIdImages, { repeated: request.idEmbeds !== undefined });
    request.inputIdImages = photos.paths;
    notices.push(...photos.notices);
  }
  // two options for one thing: the flag replaces the config's
  if ("startMergeStep" in given.request && !("styleStrength" in given.request)) delete request.styleStrength;
  if ("styleStrength" in given.request && !("startMergeStep" in given.request)) delete request.startMergeStep;
  if ("inputIdImages" in given.request) for (const key of ["people", "idTokens"]) delete request[key];
  const options = {
    // a run needs each model only once, and memory is scarce
    load: parseLoadOptions({ unloadAfterUse: true, ...config?.load, ...given.load }, flagName),
    request: parseGenerateRequest(request, flagName),
    output: { ...config?.output, ...given.output },
  };
  options.load = await withPromptLoras(options.load, options.request);
  checkPhotos(options.load.adapter !== undefined, options.request, flagName);
  return { ...options, output: readOutput(options.output, options.request), notices };
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
function readOutput(given: Readonly<Record<string, unknown>>, request: GenerateRequest): OutputOptions {
  for (const name of ["out", "saveLatents"])
    if (given[name] !== undefined && (typeof given[name] !== "string" || given[name] === ""))
      throw new UserError(
        "out/wrong-type",
        `${flagName([name])} is ${JSON.stringify(given[name])}, and must be a path.`,
        "Correct it.",
      );
  const output = parseOptions(OutputOptions, given, flagName);
  const { out, saveLatents } = output;
  const { preview } = request;
  const count = drawnImages(request);
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
