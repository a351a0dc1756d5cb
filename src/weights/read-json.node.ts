import { readlink, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { UserError } from "../core/errors.ts";
import { readText } from "../core/read-text.node.ts";
import { asReadError } from "./file-access.node.ts";
import { type JsonObject, parseJsonObject } from "./parse-json.ts";

const MAX_BYTES = 2 ** 26;

/**
 * Reads a JSON object as Python writes it: Infinity, -Infinity and NaN are accepted (NaN becomes null).
 * @throws UserError file/missing, file/denied, config/not-json, config/too-large, text/encoding
 */
export async function readJsonObject(path: string): Promise<JsonObject> {
  try {
    if ((await stat(path)).size > MAX_BYTES)
      throw new UserError("config/too-large", `${path} is far too large for a config.`, "Check that it is the right file.");
    return parseJsonObject(path, await readText(path));
  } catch (error) {
    throw asReadError(error, path);
  }
}

/** {@link readJsonObject}, or undefined where the file does not exist. @throws UserError model/broken-link */
export async function readJsonIfThere(...parts: string[]): Promise<JsonObject | undefined> {
  const path = join(...parts);
  if (await exists(path)) return readJsonObject(path);
  await refuseBrokenLink(path);
  return undefined;
}

/**
 * Tells a link whose file is gone, as an interrupted download or a deleted blob leaves it in the hub's cache, from a file that is not there.
 * @throws UserError model/broken-link if the path is such a link
 */
export async function refuseBrokenLink(path: string): Promise<void> {
  const target = await readlink(path).catch(() => undefined);
  if (target === undefined || (await exists(path))) return;
  throw new UserError(
    "model/broken-link",
    `${path} is a link to ${resolve(dirname(path), target)}, which does not exist.`,
    "Download the model again: the file is missing from the hub's cache.",
  );
}

export const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

export const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
