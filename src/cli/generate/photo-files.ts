import { createHash } from "node:crypto";
import { open, readdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { UserError } from "../../core/errors.ts";
import type { Notice } from "../../core/notice.ts";
import { wishedPhoto } from "../../faces/wished-photo.ts";
import { photoFormat } from "../../image/photo-format.ts";
import { exists, isFolder } from "../../weights/read-json.node.ts";
import { isPattern, matchesOf } from "./path-pattern.ts";

export interface PhotoFiles {
  readonly paths: readonly string[];
  /** Notices about files in folders that are not photos, and about duplicates. */
  readonly notices: readonly Notice[];
}

/**
 * Lists the photos that paths, folders and patterns name, in the order given. A folder stands for its pictures, by name; a pattern such as
 * "photos/*.jpg" is expanded as a shell does, unless a file has that very name. A photo given several times is taken once. Names that choose a face,
 * such as family.jpg#2, stay as they are.
 *
 * @param repeated keeps duplicates, since face embeddings are matched to photos by their order
 * @throws UserError id-images/none-in-folder, id-images/no-match
 */
export async function photoFiles(given: readonly string[], { repeated = false } = {}): Promise<PhotoFiles> {
  const notices: Notice[] = [];
  const paths: string[] = [];
  for (const name of given)
    for (const path of isPattern(name) && !(await exists(name)) ? await matched(name) : [name]) {
      if (await isFolder(path)) paths.push(...(await picturesIn(path, notices)));
      else paths.push(path);
    }
  return { paths: repeated ? paths : await once(paths, notices), notices };
}

async function matched(pattern: string): Promise<string[]> {
  const found = await matchesOf(pattern);
  if (found.length > 0) return found;
  throw new UserError("id-images/no-match", `No file matches "${pattern}".`, "Check the path, or name the folder itself.");
}

/** Pictures in a folder. Hidden files are left out without a notice, as a shell does: systems put them into folders of photos. */
async function picturesIn(folder: string, notices: Notice[]): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => !name.startsWith(".")).sort();
  const pictures: string[] = [];
  const others: string[] = [];
  for (const name of names) (!isMaskIn(names, name) && (await isPicture(join(folder, name))) ? pictures : others).push(name);
  if (pictures.length === 0)
    throw new UserError(
      "id-images/none-in-folder",
      `${folder} is a folder without pictures.`,
      "Name photos of the person, or a folder with them.",
    );
  if (others.length > 0)
    notices.push({
      code: "id-images/not-pictures",
      message: `${pictures.length} pictures of ${folder} are used. These are not photos: ${listed(others)}.`,
    });
  return pictures.map((name) => join(folder, name));
}

/** Whether a file is the mask of a picture beside it, as training data has: photo_mask.png or photo.mask.png beside photo.jpg. */
function isMaskIn(names: readonly string[], name: string): boolean {
  const { groups } = /^(?<picture>.+)[._]mask\.\w+$/.exec(name) ?? {};
  return groups !== undefined && names.some((other) => other !== name && other.replace(/\.\w+$/, "") === groups.picture);
}

/** Whether a file is a picture, by its first bytes. An unreadable file counts as one, so that it is refused by name. */
async function isPicture(path: string): Promise<boolean> {
  if (await isFolder(path)) return false;
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(12), 0, 12, 0);
    return photoFormat(buffer.subarray(0, bytesRead)) !== undefined;
  } catch {
    return true;
  }
}

/** Removes photos with the same content as an earlier one. Of one photo that is given with and without a choice of its face, the choice stays. */
async function once(names: readonly string[], notices: Notice[]): Promise<string[]> {
  const wished = await Promise.all(names.map(async (name) => ((await exists(name)) ? { path: name } : wishedPhoto(name))));
  const paths = wished.map(({ path }) => path);
  const choiceOf = (i: number): string => names[i]!.slice(paths[i]!.length);
  const sizes = await Promise.all(
    paths.map((path) =>
      stat(path).then(
        ({ size }) => size,
        () => undefined,
      ),
    ),
  );
  const kept: number[] = [];
  const first = new Map<string, number[]>();
  const again: string[] = [];
  for (const [i, path] of paths.entries()) {
    const alone = sizes[i] === undefined || sizes.filter((size) => size === sizes[i]).length === 1;
    const content = alone ? resolve(path) : await contentOf(path);
    const before = first.get(content) ?? [];
    const same = before.find((k) => choiceOf(kept[k]!) === choiceOf(i) || choiceOf(i) === "" || choiceOf(kept[k]!) === "");
    if (same === undefined) {
      first.set(content, [...before, kept.length]);
      kept.push(i);
      continue;
    }
    again.push(path === paths[kept[same]!] ? path : `${path} (as ${paths[kept[same]!]})`);
    if (choiceOf(i) !== "") kept[same] = i;
  }
  if (again.length > 0)
    notices.push({
      code: "id-images/repeated",
      message: `${kept.length} of ${paths.length} photos are used. The others are duplicates: ${listed(again)}.`,
    });
  return kept.map((i) => names[i]!);
}

/** Hash of a file's content, or its path if it cannot be read, which is reported where it is decoded. */
const contentOf = (path: string): Promise<string> =>
  readFile(path).then(
    (bytes) => createHash("sha256").update(bytes).digest("hex"),
    () => resolve(path),
  );

const MOST = 5;
const listed = (names: readonly string[]): string =>
  names.length <= MOST ? names.join(", ") : `${names.slice(0, MOST).join(", ")} and ${names.length - MOST} more`;
