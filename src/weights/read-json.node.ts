import { stat } from "node:fs/promises";
import { join } from "node:path";
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

/** {@link readJsonObject}, or undefined where the file does not exist. */
export const readJsonIfThere = async (...path: string[]): Promise<JsonObject | undefined> =>
  (await exists(join(...path))) ? readJsonObject(join(...path)) : undefined;

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
