import type { FloatArray } from "../core/array.ts";
import { numbersJson } from "./numbers.ts";
import { photoJson } from "./photo.ts";
import type { GenerateInput } from "./request.ts";

/** Plain JSON. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/**
 * Converts a request to plain JSON, to store or send: bytes of photos become data URLs, numbers `{ dims, data }` with base64 of float32.
 * `parseGenerateRequest` reads it again. Paths stay paths, so the reader needs the files.
 */
export const requestJson = (request: GenerateInput): { readonly [key: string]: Json } =>
  jsonOf(request) as { readonly [key: string]: Json };

function jsonOf(value: unknown): Json {
  if (value instanceof Uint8Array) return photoJson(value);
  if (Array.isArray(value)) return value.map(jsonOf);
  if (typeof value !== "object" || value === null) return value as Json;
  if ("data" in value && value.data instanceof Float32Array) return { ...numbersJson(value as FloatArray) };
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, each]) => (each === undefined ? [] : [[key, jsonOf(each)] as const])),
  );
}
