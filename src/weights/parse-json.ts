import { messageOf, UserError } from "../core/errors.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * A JSON object as Python writes it: Infinity, -Infinity and NaN are read (NaN as null).
 * @param path shown in errors
 * @throws UserError config/not-json
 */
export function parseJsonObject(path: string, text: string): JsonObject {
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
