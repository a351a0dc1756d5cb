import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { z } from "zod";
import { systemCode, UserError } from "../../core/errors.ts";
import { readText } from "../../core/read-text.node.ts";

/** A generated picture: where it is and what it shows. */
export interface ListedPicture {
  /** Path within the run's folder. */
  readonly file: string;
  readonly person: string;
  /** As it is measured against: without the trigger word. */
  readonly prompt: string;
  readonly seed: number;
}

/** A file that was read. */
export interface KnownFile {
  readonly path: string;
  /** SHA-256 of its bytes. */
  readonly hash: string;
}

/** Real pictures of a person. */
export interface RealPictures {
  /** Given to the model. */
  readonly idImages: readonly KnownFile[];
  /** Others, with which generated ones are compared. */
  readonly others: readonly KnownFile[];
}

/** What does not count, a picture, a person or a measure, and why. */
export interface LeftOut {
  readonly what: string;
  readonly why: string;
}

const LIST = "pictures.jsonl";
const line = z.looseObject({
  file: z.string().min(1),
  person: z.string().min(1),
  prompt: z.string(),
  seed: z.int().default(0),
});
const PICTURE = /\.(png|jpe?g|webp|bmp|tiff?|gif|avif)$/i;
/** Folder of a person's real pictures in which those lie that were given to the model. */
const ID_FOLDER = "id";

/**
 * Reads the list of a run's pictures, `pictures.jsonl`: a line of JSON each, `{"file", "person", "prompt", "seed"}`, so that pictures of any program can be listed.
 * @param trigger a word that is no part of what a prompt says, and is taken out
 * @throws UserError evaluate/no-list, evaluate/list
 */
export async function readPictureList(folder: string, trigger = "img"): Promise<ListedPicture[]> {
  const path = join(folder, LIST);
  const refuse = (why: string) =>
    new UserError(
      "evaluate/list",
      `${path}: ${why}`,
      'Write a line of JSON for each picture: {"file": "a.png", "person": "anna", "prompt": "a photo of a woman", "seed": 1}.',
    );
  const text = await readText(path).catch((error: unknown) => {
    if (systemCode(error) !== "ENOENT" && systemCode(error) !== "ENOTDIR") throw error;
    throw new UserError(
      "evaluate/no-list",
      `${folder} has no ${LIST}, which says what its pictures show.`,
      'Write a line of JSON for each picture: {"file": "a.png", "person": "anna", "prompt": "a photo of a woman", "seed": 1}.',
    );
  });
  const pictures: ListedPicture[] = [];
  const seen = new Set<string>();
  for (const [i, row] of text.split("\n").entries()) {
    if (row.trim() === "") continue;
    const parsed = line.safeParse(jsonOr(row));
    if (!parsed.success) {
      const { path: field, message } = parsed.error.issues[0]!;
      throw refuse(`line ${i + 1} is no picture: ${field.join(".") || "it"}: ${message}.`);
    }
    const { file, person, prompt, seed } = parsed.data;
    if (seen.has(file)) throw refuse(`line ${i + 1} names ${file} again.`);
    seen.add(file);
    pictures.push({ file, person, prompt: withoutWord(prompt, trigger), seed });
  }
  if (pictures.length === 0) throw refuse("it lists no picture.");
  return pictures;
}

const jsonOr = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** A text without a word, wherever it stands as a word of its own. */
export const withoutWord = (text: string, word: string): string =>
  text
    .split(/\s+/)
    .flatMap((part) => {
      const [, bare, end] = /^(.*?)([.,;:!?]*)$/.exec(part)!;
      return bare === word ? [`\b${end}`] : [part]; // what ended the word ends the one before
    })
    .join(" ")
    .replaceAll(" \b", "")
    .replaceAll("\b", "")
    .trim();

/**
 * Finds people's real pictures: a folder for each, whose pictures given to the model lie in its folder `id`.
 * @throws UserError evaluate/no-people
 */
export async function findRealPictures(folder: string): Promise<Map<string, RealPictures>> {
  const people = new Map<string, RealPictures>();
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const { name } of entries.filter((entry) => entry.isDirectory()).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const all = await picturesWithin(join(folder, name));
    const given = (path: string): boolean => relative(join(folder, name), path).split(sep)[0] === ID_FOLDER;
    if (all.length > 0)
      people.set(name, { idImages: all.filter((f) => given(f.path)), others: all.filter((f) => !given(f.path)) });
  }
  if (people.size === 0)
    throw new UserError(
      "evaluate/no-people",
      `${folder} has no folders with pictures of people.`,
      "Make a folder for each person, named as in the list, with real pictures; those given to the model go into its folder id.",
    );
  return people;
}

/** All pictures in a folder and those within it, by path. @throws UserError evaluate/no-pictures */
export async function findPictures(folder: string): Promise<KnownFile[]> {
  const found = await picturesWithin(folder);
  if (found.length > 0) return found;
  throw new UserError("evaluate/no-pictures", `${folder} has no pictures.`, "Name a folder with real pictures, PNG or JPEG.");
}

async function picturesWithin(folder: string): Promise<KnownFile[]> {
  const names = (await readdir(folder, { recursive: true, encoding: "utf8" }).catch(() => []))
    .filter((name) => PICTURE.test(name))
    .sort();
  const files: KnownFile[] = [];
  for (const name of names) {
    const path = join(folder, name);
    if ((await stat(path)).isFile()) files.push({ path, hash: await hashOf(path) });
  }
  return files;
}

/** SHA-256 of a file. */
export const hashOf = async (path: string): Promise<string> =>
  createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
