import { readdir } from "node:fs/promises";
import { basename, extname, join, resolve } from "node:path";
import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import { openTensors } from "./open-tensors.node.ts";
import { isFolder } from "./read-json.node.ts";
import { type TextualInversion, textualInversionOf } from "./textual-inversion.ts";

/** Endings of files that may hold an embedding. */
const ENDINGS: ReadonlySet<string> = new Set([".safetensors", ".pt", ".bin"]);

/**
 * Opens textual inversions by the names that prompts call them by: a file's name without its ending, in a folder with the folders below it
 * (`faces/old`), and without them where that is one file's alone.
 * @param paths files, and folders of them; in a folder what is made for something else is left out, and said
 * @param widths of text encoder 1 and 2
 * @returns by name in lower case
 * @throws UserError embedding/no-files, embedding/same-name, and those of openTensors and textualInversionOf
 */
export async function openEmbeddings(
  paths: readonly string[],
  widths: readonly [number, number],
): Promise<{ readonly embeddings: ReadonlyMap<string, TextualInversion>; readonly notices: readonly Notice[] }> {
  const embeddings = new Map<string, TextualInversion>();
  const files = new Map<string, string>();
  const notices: Notice[] = [];
  const add = (name: string, file: string, embedding: TextualInversion): void => {
    const key = name.toLowerCase();
    if (files.has(key))
      throw new UserError(
        "embedding/same-name",
        `Two embeddings are called ${name}: ${files.get(key)} and ${file}.`,
        "Rename one of the files.",
      );
    files.set(key, file);
    embeddings.set(key, embedding);
  };
  for (const path of paths) {
    const absolute = resolve(path);
    if (!(await isFolder(absolute))) {
      add(nameOf(absolute), absolute, await textualInversionOf(await openTensors(absolute), widths));
      continue;
    }
    const there = await readdir(absolute, { recursive: true });
    const inside = there.filter((name) => ENDINGS.has(extname(name).toLowerCase())).toSorted();
    if (inside.length === 0)
      throw new UserError(
        "embedding/no-files",
        `${absolute} has no embeddings: no .safetensors, .pt or .bin.`,
        "Give a folder of textual inversion files, or such a file.",
      );
    const left: string[] = [];
    const alone = (name: string): boolean =>
      inside.filter((other) => nameOf(other).toLowerCase() === nameOf(name).toLowerCase()).length === 1;
    for (const name of inside) {
      try {
        const embedding = await textualInversionOf(await openTensors(join(absolute, name)), widths);
        const long = name.replaceAll("\\", "/").slice(0, -extname(name).length);
        add(long, join(absolute, name), embedding);
        if (long.includes("/") && alone(name) && !files.has(nameOf(name).toLowerCase()))
          add(nameOf(name), join(absolute, name), embedding);
      } catch (error) {
        if (!(error instanceof UserError) || error.code === "embedding/same-name") throw error;
        left.push(name);
      }
    }
    if (left.length > 0)
      notices.push({
        code: "embedding/left-out",
        message: `${left.length} of ${inside.length} files in ${absolute} are no embeddings for this model and are left out: ${left.slice(0, 5).join(", ")}${left.length > 5 ? " …" : ""}.`,
      });
  }
  return { embeddings, notices };
}

const nameOf = (path: string): string => basename(path, extname(path));
