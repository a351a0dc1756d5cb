import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { nearestName } from "../contract/nearest-name.ts";
import { messageOf, UserError } from "../core/errors.ts";
import { readPngSettings } from "../image/png-settings.ts";
import { asReadError } from "../weights/file-access.node.ts";
import { parseHubId } from "../weights/hub/index.ts";
import { exists } from "../weights/read-json.node.ts";
import { ALL_FLAGS, camelCase, type Flag, isList, longName, type Section } from "./generate-flags.ts";
import { isPattern, matchesOf } from "./path-pattern.ts";

/** Values for each section, not yet checked. */
export type Sections = Record<Section, Record<string, unknown>>;

/**
 * Reads options from a JSON file, or from a PNG that was made here. An option is named as in code (`numInferenceSteps`),
 * as in diffusers (`num_inference_steps`) or as the flag (`steps`, `id-image`). A file that is not found from here
 * is looked for beside the config.
 *
 * @param given keys that flags give, which the config need not have right
 * @throws UserError file/missing, config/not-json, config/unknown-key, config/given-twice, config/no-settings, config/file-not-found
 */
export async function readConfig(path: string, given: ReadonlySet<string>): Promise<Sections> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw asReadError(error, path);
  });
  const picture = isPng(bytes);
  const values = picture ? settingsOf(bytes, path) : parseJson(bytes.toString("utf8"), path);
  const sections: Sections = { load: {}, request: {}, output: {} };
  for (const [name, value] of Object.entries(values)) {
    const flag = BY_NAME.get(camelCase(name));
    if (flag === undefined) throw unknownKey(path, name);
    if (flag.key in sections[flag.section])
      throw new UserError("config/given-twice", `${path} gives ${flag.key} twice, once as "${name}".`, "Keep one.");
    // null is what Python writes for None
    if (value === null || given.has(flag.key)) continue;
    sections[flag.section][flag.key] = await read(flag, value, { path, picture });
  }
  return sections;
}

const BY_NAME: ReadonlyMap<string, Flag> = new Map(
  ALL_FLAGS.flatMap((flag) => [flag.key, camelCase(longName(flag))].map((name) => [name, flag] as const)),
);

interface Source {
  readonly path: string;
  /** A picture knows its files by name only. */
  readonly picture: boolean;
}

async function read(flag: Flag, value: unknown, source: Source): Promise<unknown> {
  if (isList(flag)) return Promise.all([value].flat().map((each) => readOne(flag, each, source)));
  return readOne(flag, value, source);
}

async function readOne(flag: Flag, value: unknown, source: Source): Promise<unknown> {
  const parsed = typeof value === "string" && flag.parse !== undefined ? flag.parse(value, longName(flag)) : value;
  if (!flag.isPath) return parsed;
  if (typeof parsed === "string") return found(parsed, flag, source);
  if (typeof parsed === "object" && parsed !== null && "path" in parsed && typeof parsed.path === "string")
    return { ...parsed, path: await found(parsed.path, flag, source) };
  return parsed;
}

/** Beside the config if it is there, else unchanged: from the current folder, or a name on the hub. */
async function found(path: string, flag: Flag, { path: config, picture }: Source): Promise<string> {
  const beside = resolve(dirname(config), path);
  if ((await exists(beside)) || (isPattern(path) && (await matchesOf(beside)).length > 0)) return beside;
  if (!picture || (flag.section === "load" && parseHubId(path) !== undefined) || (await exists(path))) return path;
  throw new UserError(
    "config/file-not-found",
    `${config} was made with ${path}, which lies neither beside it nor in the current folder.`,
    `Say where it is: ${flag.flags.replace(/^-\w, /, "")}. Flags win over what the picture says.`,
  );
}

const isPng = (bytes: Uint8Array): boolean => bytes[0] === 0x89 && bytes[1] === 0x50;

/** The settings in a picture, with those of its models beside the others; which of several it was is no option. */
function settingsOf(bytes: Uint8Array, path: string): object {
  const { settings } = readPngSettings(bytes);
  if (typeof settings !== "object" || settings === null)
    throw new UserError(
      "config/no-settings",
      `${path} does not say how it was made.`,
      "Give a PNG that photomaker wrote, or a JSON file.",
    );
  const { index: _, load, ...request } = settings as Record<string, unknown>;
  const { unloadAfterUse: __, encodingCacheBytes: ___, ...models } = (load ?? {}) as Record<string, unknown>;
  return { ...request, ...models };
}

function parseJson(text: string, path: string): object {
  const refuse = (why: string, cause?: unknown) =>
    new UserError(
      "config/not-json",
      `${path} is not a JSON object${why}.`,
      'Write it as in {"prompt": "a man img", "steps": 30}.',
      { cause },
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refuse(`: ${messageOf(error)}`, error);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw refuse("");
  return value;
}

function unknownKey(path: string, name: string): UserError {
  const nearest = nearestName(name, BY_NAME.keys());
  const remedy = nearest ? `Did you mean ${nearest}?` : `Known are: ${ALL_FLAGS.map(({ key }) => key).join(", ")}.`;
  return new UserError("config/unknown-key", `${path} has an option "${name}", which there is not.`, remedy);
}
