import { access, readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { messageOf, UserError } from "../core/errors.ts";
import { readPngSettings } from "../image/png-settings.ts";
import { nearestName } from "../pipeline/nearest-name.ts";
import { asReadError } from "../weights/file-access.ts";
import { ALL_FLAGS, camelCase, type Flag, isList, longName, type Section } from "./generate-flags.ts";

/** Values for each section, not yet checked. */
export type Sections = Record<Section, Record<string, unknown>>;

/**
 * Reads options from a JSON file, or from a PNG that was made here. An option is named as in code (`numInferenceSteps`),
 * as in diffusers (`num_inference_steps`) or as the flag (`steps`, `id-image`). A file that is not found from here
 * is looked for beside the config.
 *
 * @throws UserError file/missing, config/not-json, config/unknown-key, config/given-twice, config/no-settings
 */
export async function readConfig(path: string): Promise<Sections> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw asReadError(error, path);
  });
  const values = isPng(bytes) ? settingsOf(bytes, path) : parseJson(bytes.toString("utf8"), path);
  const sections: Sections = { load: {}, request: {}, output: {} };
  for (const [name, value] of Object.entries(values)) {
    const flag = BY_NAME.get(camelCase(name));
    if (flag === undefined) throw unknownKey(path, name);
    if (flag.key in sections[flag.section])
      throw new UserError("config/given-twice", `${path} gives ${flag.key} twice, once as "${name}".`, "Keep one.");
    // null is what Python writes for None
    if (value !== null) sections[flag.section][flag.key] = await read(flag, value, dirname(resolve(path)));
  }
  return sections;
}

const BY_NAME: ReadonlyMap<string, Flag> = new Map(
  ALL_FLAGS.flatMap((flag) => [flag.key, camelCase(longName(flag))].map((name) => [name, flag] as const)),
);

async function read(flag: Flag, value: unknown, folder: string): Promise<unknown> {
  if (isList(flag)) return Promise.all([value].flat().map((each) => readOne(flag, each, folder)));
  return readOne(flag, value, folder);
}

async function readOne(flag: Flag, value: unknown, folder: string): Promise<unknown> {
  const parsed = typeof value === "string" && flag.parse !== undefined ? flag.parse(value, longName(flag)) : value;
  if (!flag.isPath) return parsed;
  if (typeof parsed === "string") return found(parsed, folder);
  if (typeof parsed === "object" && parsed !== null && "path" in parsed && typeof parsed.path === "string")
    return { ...parsed, path: await found(parsed.path, folder) };
  return parsed;
}

/** Beside the config if it is there, else unchanged: from the current folder, or a name on the hub. */
const found = (path: string, folder: string): Promise<string> =>
  access(resolve(folder, path)).then(
    () => resolve(folder, path),
    () => path,
  );

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
