import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { messageOf, UserError } from "../../core/errors.ts";
import { decodePhoto, type Rgb8 } from "../../image/index.ts";
import { type Candidate, candidates } from "./candidates.ts";
import { type Dropped, drop } from "./drop.ts";

export interface TrainingPhoto {
  readonly path: string;
  readonly mask: string | undefined;
  /** Size of the picture turned upright, pixels. */
  readonly width: number;
  readonly height: number;
  /** SHA-256 of the file's bytes, in hexadecimal. */
  readonly hash: string;
  /** The caption with the trigger word after the class word. */
  readonly prompt: string;
  readonly classWord: string;
}

export interface TrainingPerson {
  readonly name: string;
  readonly photos: readonly TrainingPhoto[];
}

export interface TrainingPhotos {
  readonly people: readonly TrainingPerson[];
  readonly dropped: readonly Dropped[];
  readonly kept: { readonly people: number; readonly photos: number };
  /** Hash of the kept pictures and prompts: folders with the same content have the same. */
  readonly fingerprint: string;
}

export interface ReadOptions {
  readonly masks: boolean;
  readonly trigger: string;
  readonly signal?: AbortSignal | undefined;
  readonly onPhoto?: (done: number, total: number) => void;
}

/** Class words to look for, in this order, in a caption of a person without one. */
const CLASS_WORDS = ["man", "woman", "boy", "girl", "person", "lady", "gentleman", "guy", "child", "kid", "baby"];

/**
 * Reads a training folder, leaving out what cannot be used. Every picture and mask is decoded once, so that none fails
 * later.
 * @throws UserError data/nothing-left, and those of candidates
 */
export async function trainingPhotos(folder: string, options: ReadOptions): Promise<TrainingPhotos> {
  const found = await candidates(folder);
  const dropped: Dropped[] = [];
  const people = new Map<string, TrainingPhoto[]>();
  for (const [i, candidate] of found.entries()) {
    options.signal?.throwIfAborted();
    const read = await readCandidate(candidate, options);
    if ("reason" in read) dropped.push(read);
    else people.set(candidate.person, [...(people.get(candidate.person) ?? []), read]);
    options.onPhoto?.(i + 1, found.length);
  }
  const kept: TrainingPerson[] = [];
  for (const [name, photos] of people)
    if (photos.length > 1) kept.push({ name, photos });
    else dropped.push(drop(photos[0]!.path, "person/one-picture", name));
  const photos = kept.flatMap((person) => person.photos);
  if (photos.length === 0)
    throw new UserError(
      "data/nothing-left",
      `${folder} has nothing to learn from: ${found.length === 0 ? "no pictures were found" : countsText(dropped)}.`,
      "Make a folder for each person with at least two pictures, each with a caption (photo.txt) and a mask (photo_mask.png).",
    );
  const fingerprint = createHash("sha256")
    .update(JSON.stringify(photos.map(({ hash, prompt }) => [hash, prompt])))
    .digest("hex");
  return { people: kept, dropped, kept: { people: kept.length, photos: photos.length }, fingerprint };
}

/** Lists reasons, such as "3 mask/missing, 1 picture/unreadable". */
export function countsText(dropped: readonly Dropped[]): string {
  return [...countsOf(dropped)].map(([reason, count]) => `${count} ${reason}`).join(", ");
}

export function countsOf(dropped: readonly Dropped[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { reason } of dropped) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return counts;
}

async function readCandidate(candidate: Candidate, { masks, trigger }: ReadOptions): Promise<TrainingPhoto | Dropped> {
  const { path, mask, classWord } = candidate;
  // some data sets contain the trigger word already
  const caption = candidate.caption?.replace(new RegExp(` ?${wordIn(trigger).source}`, "gi"), "");
  if (!caption) return drop(path, "caption/missing");
  const word = classWord ?? CLASS_WORDS.find((each) => wordIn(each).test(caption));
  if (word === undefined || !wordIn(word).test(caption)) return drop(path, "caption/no-class-word", word ?? caption);
  if (masks && mask === undefined) return drop(path, "mask/missing");
  let picture: Rgb8;
  let hash: string;
  try {
    const bytes = await readFile(path);
    hash = createHash("sha256").update(bytes).digest("hex");
    picture = await decodePhoto(bytes, { name: path });
  } catch (error) {
    return drop(path, "picture/unreadable", messageOf(error));
  }
  const problem = masks ? await checkMask(path, mask!, picture) : undefined;
  if (problem !== undefined) return problem;
  const prompt = caption.replace(wordIn(word), (found) => `${found} ${trigger}`);
  const { width, height } = picture;
  return { path, mask: masks ? mask : undefined, width, height, hash, prompt, classWord: word };
}

async function checkMask(path: string, mask: string, picture: Rgb8): Promise<Dropped | undefined> {
  try {
    const { width, height, data } = await decodePhoto(mask);
    if (width !== picture.width || height !== picture.height)
      return drop(path, "mask/other-size", `${width}x${height} for ${picture.width}x${picture.height}`);
    return data.some((v) => v > 127) ? undefined : drop(path, "mask/empty");
  } catch (error) {
    return drop(path, "mask/unreadable", messageOf(error));
  }
}

const wordIn = (word: string): RegExp => new RegExp(`\\b${word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}\\b`, "i");
