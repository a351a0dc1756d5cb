import { open, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { type PhotoFormat, photoFormat } from "../../image/photo-format.ts";
import { readPictureSettings } from "../../image/picture-settings.ts";

/** How a picture was made, according to its metadata. */
export interface PictureDescription {
  /** Absolute. */
  readonly path: string;
  readonly kind: "picture";
  readonly format: PhotoFormat;
  /** Settings in the form that other tools read. */
  readonly parameters?: string;
  /** Settings from which `generate --config` makes it again. */
  readonly settings?: unknown;
}

/**
 * Reads how a picture was made; undefined for a file that is not a picture or cannot be read.
 * @throws UserError picture/unreadable, png/unreadable, png/compressed-text
 */
export async function describePicture(path: string): Promise<PictureDescription | undefined> {
  const format = await formatOf(path);
  if (format === undefined) return undefined;
  return { path: resolve(path), kind: "picture", format, ...(await readPictureSettings(await readFile(path))) };
}

async function formatOf(path: string): Promise<PhotoFormat | undefined> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(12), 0, 12, 0);
    return photoFormat(buffer.subarray(0, bytesRead));
  } catch {
    return undefined; // reading it as weights reports why
  }
}

/** A picture's description as text. */
export function pictureText({ path, format, parameters, settings }: PictureDescription): string {
  const title = `a picture (${format})`;
  if (parameters === undefined && settings === undefined) return `${path}\n${title}\n\nIt holds no settings.\n`;
  const again = settings === undefined ? [] : ["", `To make it again: photomaker generate --config ${JSON.stringify(path)}`];
  const said = parameters ?? JSON.stringify(settings, undefined, 2);
  return [path, title, "", said, ...again, ""].join("\n");
}
