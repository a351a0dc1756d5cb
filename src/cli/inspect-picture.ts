import { open, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { type PhotoFormat, photoFormat } from "../image/photo-format.ts";
import { readPngSettings } from "../image/png-settings.ts";

/** How a picture was made, as it says itself. */
export interface PictureDescription {
  /** Absolute. */
  readonly path: string;
  readonly kind: "picture";
  readonly format: PhotoFormat;
  /** As other tools read it. */
  readonly parameters?: string;
  /** From which `generate --config` makes it again. */
  readonly settings?: unknown;
}

/**
 * What a picture says of how it was made, or undefined for what is no picture, or cannot be read.
 * @throws UserError png/unreadable, png/compressed-text
 */
export async function describePicture(path: string): Promise<PictureDescription | undefined> {
  const format = await formatOf(path);
  if (format === undefined) return undefined;
  const base = { path: resolve(path), kind: "picture", format } as const;
  return format === "PNG" ? { ...base, ...readPngSettings(await readFile(path)) } : base;
}

async function formatOf(path: string): Promise<PhotoFormat | undefined> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(12), 0, 12, 0);
    return photoFormat(buffer.subarray(0, bytesRead));
  } catch {
    return undefined; // whoever reads it as weights says why
  }
}

/** A picture's description for people. */
export function pictureText({ path, format, parameters, settings }: PictureDescription): string {
  const title = `a picture (${format})`;
  if (parameters === undefined && settings === undefined) return `${path}\n${title}\n\nIt does not say how it was made.\n`;
  const again = settings === undefined ? [] : ["", `To make it again: photomaker generate --config ${JSON.stringify(path)}`];
  const said = parameters ?? JSON.stringify(settings, undefined, 2);
  return [path, title, "", said, ...again, ""].join("\n");
}
