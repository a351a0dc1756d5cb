import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, UserError } from "../core/errors.ts";
import { asReadError } from "./file-access.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

const MAX_BYTES = 2 ** 26;

/**
 * Reads a JSON object as Python writes it: Infinity, -Infinity and NaN are accepted (NaN becomes null).
 * @throws UserError file/missing, file/denied, config/not-json, config/too-large
 */
export async function readJsonObject(path: string): Promise<JsonObject> {
  try {
    if ((await stat(path)).size > MAX_BYTES)
      throw new UserError("config/too-large", `${path} is far too large for a config.`, "Check that it is the right file.");
    return parse(path, await readFile(path, "utf8"));
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

function parse(path: string, text: string): JsonObject {
  const numbers: Readonly<Record<string, string>> = { Infinity: "1e999", "-Infinity": "-1e999", NaN: "null" };
  const strict = text.replace(/"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g, (token) => numbers[token] ?? token);
  const refuse = (why: string, cause?: unknown) =>
    new UserError("config/not-json", `${path} is not a JSON object${why}.`, "Download or copy it again.", { cause });
  let value: unknown;
  try {
    value = JSON.parse(strict);
  } catch (error) {
    throw refuse(` (${messageOf(error)})`, error);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw refuse("");
  return value as JsonObject;
}
