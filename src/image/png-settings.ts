import { UserError } from "../core/errors.ts";
import { type PngChunk, readPngChunks, unreadable, writePngChunks } from "./png-chunks.ts";

/** How a picture was made, as stored in its PNG. */
export interface PngSettings {
  /** For people and other tools; see `infotext`. PNG text cannot hold U+0000, which becomes U+FFFD. */
  readonly parameters?: string;
  /** JSON from which the picture can be made again. */
  readonly settings?: unknown;
}

const PARAMETERS = "parameters";
const SETTINGS = "photomaker";

/**
 * The same PNG with settings before its pixels: `parameters` as tEXt if Latin-1 can hold it, else as iTXt,
 * as Pillow's `PngInfo.add_text` chooses; `photomaker` as iTXt.
 */
export function withPngSettings(png: Uint8Array, { parameters, settings }: PngSettings): Uint8Array {
  const [header, ...rest] = readPngChunks(png);
  const text: PngChunk[] = [];
  if (parameters !== undefined) text.push(textChunk(PARAMETERS, parameters));
  if (settings !== undefined) text.push(internationalChunk(SETTINGS, JSON.stringify(settings)));
  return writePngChunks([header!, ...text, ...rest]);
}

/**
 * Reads from a PNG how it was made; a field that the PNG does not have is absent.
 * @throws UserError png/unreadable, png/compressed-text
 */
export function readPngSettings(png: Uint8Array): PngSettings {
  const chunks = readPngChunks(png);
  const parameters = findText(chunks, PARAMETERS);
  const settings = findText(chunks, SETTINGS);
  return {
    ...(parameters === undefined ? {} : { parameters }),
    ...(settings === undefined ? {} : { settings: parseSettings(settings) }),
  };
}

/** Keywords under which programs write how a picture was made. */
const KEYWORDS = [PARAMETERS, "prompt", "workflow", "invokeai_metadata", "fooocus_scheme"];

/**
 * What other programs wrote into a PNG, by keyword.
 * @throws UserError png/unreadable, png/compressed-text
 */
export function readPngTexts(png: Uint8Array): Record<string, string> {
  const chunks = readPngChunks(png);
  return Object.fromEntries(
    KEYWORDS.flatMap((keyword) => {
      const text = findText(chunks, keyword);
      return text === undefined ? [] : [[keyword, text]];
    }),
  );
}

function parseSettings(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw unreadable("its settings are not JSON", error);
  }
}

function textChunk(keyword: string, text: string): PngChunk {
  const clean = text.replaceAll("\0", "\ufffd");
  const codes = Array.from(clean, (character) => character.codePointAt(0)!);
  if (codes.some((code) => code > 0xff)) return internationalChunk(keyword, clean);
  const prefix = new TextEncoder().encode(`${keyword}\0`);
  return { type: "tEXt", data: Uint8Array.from([...prefix, ...codes]) };
}

/** An iTXt chunk: keyword, NUL, not compressed (two bytes), no language, no translated keyword, UTF-8. */
function internationalChunk(keyword: string, text: string): PngChunk {
  return { type: "iTXt", data: new TextEncoder().encode(`${keyword}\0\0\0\0\0${text}`) };
}

function findText(chunks: readonly PngChunk[], keyword: string): string | undefined {
  const prefix = `${keyword}\0`;
  const chunk = chunks.find(
    ({ type, data }) => /^(tEXt|iTXt|zTXt)$/.test(type) && latin1(data.subarray(0, prefix.length)) === prefix,
  );
  if (chunk === undefined) return undefined;
  const body = chunk.data.subarray(prefix.length);
  if (chunk.type === "tEXt") return latin1(body);
  if (chunk.type === "zTXt" || body[0] !== 0)
    throw new UserError(
      "png/compressed-text",
      `The PNG file holds its "${keyword}" in compressed form, which is not read here.`,
      "Take the original file, from before another program compressed its text.",
    );
  const language = body.indexOf(0, 2);
  const translated = body.indexOf(0, language + 1);
  if (language < 0 || translated < 0) throw unreadable(`its text "${keyword}" is cut off`);
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(body.subarray(translated + 1));
}

/** Latin-1 as text. TextDecoder's "latin1" would be Windows-1252. */
const latin1 = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
