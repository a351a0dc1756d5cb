import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { withExactIntegers } from "../../contract/exact-integers.ts";
import { foreignSettings } from "../../contract/foreign/foreign-settings.ts";
import type { ForeignSettings } from "../../contract/foreign/reading.ts";
import { nearestName } from "../../contract/nearest-name.ts";
import { type Missing, requestFromSettings } from "../../contract/request-from-settings.ts";
import { decodeText } from "../../core/decode-text.ts";
import { messageOf, UserError } from "../../core/errors.ts";
import type { Notice } from "../../core/notice.ts";
import { photoFormat } from "../../image/photo-format.ts";
import { readPictureSettings, readPictureTexts } from "../../image/picture-settings.ts";
import { asReadError } from "../../weights/file-access.node.ts";
import { parseHubId } from "../../weights/hub/index.ts";
import { exists } from "../../weights/read-json.node.ts";
import { ALL_OPTIONS, type ConfigOption, camelCase, type Section } from "./generate-flags.ts";
import { isPattern, matchesOf } from "./path-pattern.ts";

/** Values by section, not yet checked. */
export type Sections = Record<Section, Record<string, unknown>>;

/** What a config gives. */
export interface Config {
  readonly sections: Sections;
  /** What is to be said of a picture of another program. */
  readonly notices: readonly Notice[];
}

/**
 * Reads options from a JSON file, or from a picture that photomaker wrote. An option is named as in code (`numInferenceSteps`),
 * as in diffusers (`num_inference_steps`) or as the flag (`steps`, `id-image`). Files are looked for beside the config,
 * then in the current folder. Options without a flag, such as `people`, are named as in code.
 *
 * @param given keys that flags give, whose values in the config do not matter
 * @throws UserError file/missing, config/not-json, text/encoding, config/unknown-key, config/given-twice, config/no-settings, config/file-not-found, config/not-in-picture, picture/unreadable, png/unreadable
 */
export async function readConfig(path: string, given: ReadonlySet<string>): Promise<Config> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw asReadError(error, path);
  });
  const picture = photoFormat(bytes) !== undefined;
  const notices: Notice[] = [];
  const values = picture
    ? await settingsOf(bytes, path, given, (notice) => notices.push(notice))
    : parseObject(decodeText(bytes, path), path);
  if (notices.length > 0 && !given.has("loras")) await leaveLostLoras(values, path, (notice) => notices.push(notice));
  return { sections: await optionsFrom(values, { path, name: path, picture }, given), notices };
}

/**
 * Named options by their sections.
 * @param given keys that are given elsewhere, and left out
 * @throws UserError config/unknown-key, config/given-twice, config/file-not-found
 */
export async function optionsFrom(values: object, source: Source, given: ReadonlySet<string>): Promise<Sections> {
  const sections: Sections = { load: {}, request: {}, output: {} };
  for (const [name, value] of Object.entries(values)) {
    const option = BY_NAME.get(camelCase(name));
    if (option === undefined) throw unknownKey(source.name, name);
    const { key, section } = option;
    if (key in sections[section])
      throw new UserError("config/given-twice", `${source.name} gives ${key} twice, once as "${name}".`, "Keep one.");
    // Python writes None as null
    if (value === null || given.has(key)) continue;
    sections[section][key] = await read(option, value, source);
  }
  return sections;
}

const BY_NAME: ReadonlyMap<string, ConfigOption> = new Map(
  ALL_OPTIONS.flatMap((option) =>
    [option.key, ...(option.flag === undefined ? [] : [camelCase(option.flag.name)])].map((name) => [name, option] as const),
  ),
);

export interface Source {
  /** The file beside which those that it names are looked for. */
  readonly path: string;
  /** Its name in errors. */
  readonly name: string;
  /** Whether it is a picture, which records names of files without their folders. */
  readonly picture: boolean;
}

async function read(option: ConfigOption, value: unknown, source: Source): Promise<unknown> {
  if (option.isList) return Promise.all([value].flat().map((each) => readOne(option, each, source)));
  return readOne(option, value, source);
}

async function readOne(option: ConfigOption, value: unknown, source: Source): Promise<unknown> {
  const parsed = typeof value === "string" && option.parse ? option.parse(value, option.flag?.name ?? option.key) : value;
  return option.isPath ? withFiles(parsed, option, source) : parsed;
}

/** Fields of a LoRA, a person or a control hint that name files. */
const NAMES_FILES: ReadonlySet<string> = new Set(["path", "photos", "idEmbeds", "region", "mask", "model", "image"]);

/** Replaces names of files in a value by their paths. @throws UserError config/file-not-found */
async function withFiles(value: unknown, option: ConfigOption, source: Source): Promise<unknown> {
  if (typeof value === "string") return /^data:/i.test(value) ? value : found(value, option, source);
  if (Array.isArray(value)) return Promise.all(value.map((each) => withFiles(each, option, source)));
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).map(
    async ([key, each]) => [key, NAMES_FILES.has(key) ? await withFiles(each, option, source) : each] as const,
  );
  return Object.fromEntries(await Promise.all(fields));
}

/** Path of a file beside the config if it exists, else the path as given: in the current folder, or on the hub. */
async function found(path: string, { section, key, flag }: ConfigOption, { path: config, picture }: Source): Promise<string> {
  const beside = resolve(dirname(config), path);
  if ((await exists(beside)) || (isPattern(path) && (await matchesOf(beside)).length > 0)) return beside;
  if (!picture || (section === "load" && parseHubId(path) !== undefined) || (await exists(path))) return path;
  const say = flag?.flags.replace(/^-\w, /, "") ?? key;
  throw new UserError(
    "config/file-not-found",
    `${config} was made with ${path}, which lies neither beside it nor in the current folder.`,
    `Name its place: ${say}. Flags take precedence over the picture.`,
  );
}

/**
 * Reads the options from a picture's settings: of several pictures made at once, those of this one alone, unless their number is given anew.
 * @throws UserError config/no-settings, config/not-in-picture
 */
async function settingsOf(
  bytes: Uint8Array,
  path: string,
  given: ReadonlySet<string>,
  note: (notice: Notice) => void,
): Promise<object> {
  const { settings } = await readPictureSettings(bytes);
  if (typeof settings !== "object" || settings === null) {
    const foreign = foreignSettings(await readPictureTexts(bytes));
    if (foreign === undefined)
      throw new UserError(
        "config/no-settings",
        `${path} holds no settings.`,
        "Use a picture that photomaker wrote, or one of A1111, Fooocus, SwarmUI, ComfyUI or InvokeAI, or a JSON file.",
      );
    if (foreign.request.prompt === undefined && !given.has("prompt"))
      throw new UserError(
        "config/no-prompt",
        `${path} was made by ${foreign.program}, and no prompt is found in what that wrote into it.`,
        "Give it with --prompt: the other settings are taken from the picture.",
      );
    note(foreignNotice(path, foreign));
    return { ...foreign.request, ...foreign.load };
  }
  const { request, load, index, missing } = requestFromSettings(settings);
  const lacking = missing.find(({ what, key }) => what !== "file" && !isGivenAnew(key, given));
  if (lacking !== undefined) throw notInPicture(path, lacking);
  const one = (request.numImagesPerPrompt ?? 1) > 1 && !given.has("numImagesPerPrompt") && { onlyImage: index };
  return { ...request, ...load, ...one };
}

/** Takes out of another program's settings the LoRAs that are not at hand: the picture is not the same without them, nor with them. */
async function leaveLostLoras(
  values: { loras?: readonly { path: string; scale: number }[] },
  path: string,
  note: (notice: Notice) => void,
) {
  const { loras = [] } = values;
  const isThere = await Promise.all(
    loras.map(async (lora) => (await exists(resolve(dirname(path), lora.path))) || (await exists(lora.path))),
  );
  const lost = loras.filter((_, i) => !isThere[i]);
  if (lost.length === 0) return;
  values.loras = loras.filter((_, i) => isThere[i]);
  note({
    code: "config/lora-lost",
    message: `${path} was made with ${lost.map((lora) => lora.path).join(", ")}, not found beside it or in the current folder, and left out. Give ${lost.length === 1 ? "it" : "them"} with ${lost.map((lora) => `--lora ${lora.path}:${lora.scale}`).join(" ")}.`,
  });
}

function foreignNotice(path: string, { program, left, load }: ForeignSettings): Notice {
  const rest = left.length === 0 ? "" : ` Without a counterpart here, and left out: ${left.join("; ")}.`;
  const model =
    load.model === undefined ? " It does not name a model: --model does, or the default of photomaker setup is taken." : "";
  return {
    code: "config/other-program",
    message: `${path} was made by ${program}: its settings are taken, and the picture will be like it, not the same.${rest}${model}`,
  };
}

/** Whether flags give a value anew; a person may also be given in another way. */
const isGivenAnew = (key: string, given: ReadonlySet<string>): boolean =>
  given.has(key) || (["idTokens", "people"].includes(key) && given.has("inputIdImages"));

function notInPicture(path: string, { key, name, what }: Missing): UserError {
  const flag = BY_NAME.get(key)?.flag?.flags.replace(/^-\w, /, "");
  return new UserError(
    "config/not-in-picture",
    `${path} was made with ${key} given as ${what} ${name}, which a picture does not hold.`,
    flag !== undefined
      ? `Give them again as a file: ${flag}. Flags take precedence over the picture.`
      : `Give photos of the person with --id-image, or generate in code, where ${key} can be given again: requestFromSettings reads the rest.`,
  );
}

/**
 * A JSON object with options.
 * @param path how it is called in errors
 * @throws UserError config/not-json
 */
export function parseObject(text: string, path: string): Readonly<Record<string, unknown>> {
  const refuse = (why: string, cause?: unknown) =>
    new UserError(
      "config/not-json",
      `${path} is not a JSON object${why}.`,
      /escape/i.test(why)
        ? 'Write a backslash twice, or a slash: "C:\\\\photos\\\\me.jpg" or "C:/photos/me.jpg".'
        : 'Write it like this: {"prompt": "a man img", "steps": 30}.',
      { cause },
    );
  let value: unknown;
  try {
    value = JSON.parse(withExactIntegers(text));
  } catch (error) {
    throw refuse(`: ${messageOf(error)}`, error);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw refuse("");
  return value as Readonly<Record<string, unknown>>;
}

function unknownKey(path: string, name: string): UserError {
  const nearest = nearestName(name, BY_NAME.keys());
  const remedy = nearest ? `Did you mean ${nearest}?` : `Known options: ${ALL_OPTIONS.map(({ key }) => key).join(", ")}.`;
  return new UserError("config/unknown-key", `${path} has an unknown option "${name}".`, remedy);
}
