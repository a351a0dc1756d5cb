import { readdir, readFile, rm, stat, utimes } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { writeFileAtomically } from "../../../core/atomic-file.node.ts";
import { messageOf, systemCode, UserError } from "../../../core/errors.ts";
import { makeFolder } from "../../../core/make-folder.node.ts";

/** Record of a prepared model: the file `<key>.json` beside its weights. */
export interface PreparedNote {
  readonly key: string;
  /** The pipeline's name of the model, such as "unet" */
  readonly model: string;
  readonly precision: string;
  /** Name of the file or folder that it was made from */
  readonly from: string;
  /** Fingerprint of the weights as written */
  readonly content: string;
}

export interface PreparedModel extends PreparedNote {
  readonly bytes: number;
  readonly lastUsed: Date;
}

export interface CacheSettings {
  readonly folder: string;
  /** Total size above which models are removed, those least recently used first. */
  readonly mostBytes: number;
}

const DEFAULT_GB = 40;

/**
 * Folder of prepared models: PHOTOMAKER_CACHE, or else the system's cache folder; and their largest total size:
 * PHOTOMAKER_CACHE_GB, or else 40.
 * @throws UserError cache/size
 */
export function cacheSettings(env: Readonly<Record<string, string | undefined>> = process.env): CacheSettings {
  const text = env.PHOTOMAKER_CACHE_GB ?? `${DEFAULT_GB}`;
  const gigabytes = Number(text);
  if (text.trim() === "" || !(gigabytes >= 0))
    throw new UserError("cache/size", `PHOTOMAKER_CACHE_GB is "${text}", which is no size.`, "Set it to gigabytes, such as 40.");
  return { folder: env.PHOTOMAKER_CACHE ?? join(systemCache(env), "photomaker", "prepared"), mostBytes: gigabytes * 1e9 };
}

function systemCache(env: Readonly<Record<string, string | undefined>>): string {
  if (process.platform === "win32") return env.LOCALAPPDATA ?? join(homedir(), "AppData", "Local");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches");
  return env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
}

export const weightsPath = (folder: string, key: string): string => join(folder, `${key}.safetensors`);
/** Weights of a packed model, a file of another kind than those of prepared ones; its graph is a file of its own. */
export const packedPath = (folder: string, key: string): string => join(folder, `${key}.bin`);
export const graphPath = (folder: string, key: string): string => join(folder, `${key}.onnx`);
const notePath = (folder: string, key: string): string => join(folder, `${key}.json`);

/** @throws UserError cache/folder if it cannot be made */
export async function openFolder(folder: string): Promise<void> {
  try {
    await makeFolder(folder);
  } catch (error) {
    throw new UserError(
      "cache/folder",
      `The folder of prepared models, ${folder}, cannot be made: ${messageOf(error)}`,
      "Set PHOTOMAKER_CACHE to a folder that you may write, or give --precision f32, which prepares nothing.",
      { cause: error },
    );
  }
}

/** The record of a model, if complete. */
export async function readNote(folder: string, key: string): Promise<PreparedNote | undefined> {
  try {
    const note = JSON.parse(await readFile(notePath(folder, key), "utf8")) as PreparedNote;
    return note.key === key ? note : undefined;
  } catch (error) {
    if (systemCode(error) === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Writes the record, after the weights: without it they do not count. */
export async function writeNote(folder: string, note: PreparedNote): Promise<void> {
  const bytes = new TextEncoder().encode(`${JSON.stringify(note, undefined, 2)}\n`);
  await writeFileAtomically(notePath(folder, note.key), (sink) => sink.write(bytes));
}

/** Marks a model as used now. */
export async function touch(folder: string, key: string): Promise<void> {
  const now = new Date();
  await utimes(notePath(folder, key), now, now).catch(() => undefined); // a read-only folder still serves
}

/** All complete models, the most recently used first. */
export async function listPrepared(folder: string): Promise<PreparedModel[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  });
  const found: PreparedModel[] = [];
  for (const name of names) {
    if (!name.endsWith(".json")) continue;
    const key = name.slice(0, -".json".length);
    const note = await readNote(folder, key);
    if (note === undefined) continue;
    const bytes = await bytesOf(folder, key);
    if (bytes === 0) continue;
    found.push({ ...note, bytes, lastUsed: (await stat(notePath(folder, key))).mtime });
  }
  return found.sort((a, b) => b.lastUsed.getTime() - a.lastUsed.getTime());
}

async function bytesOf(folder: string, key: string): Promise<number> {
  let bytes = 0;
  for (const path of filesOf(folder, key)) bytes += (await stat(path).catch(() => undefined))?.size ?? 0;
  return bytes;
}

const filesOf = (folder: string, key: string): string[] => [weightsPath, packedPath, graphPath].map((path) => path(folder, key));

/** Removes a model, its record first, so that half a model is never taken for a whole one. */
export async function removePrepared(folder: string, key: string): Promise<void> {
  await rm(notePath(folder, key), { force: true });
  for (const path of filesOf(folder, key)) await rm(path, { force: true });
}

/** Removes the least recently used models until the rest fits. @param keep is never removed @returns the removed ones */
export async function evict({ folder, mostBytes }: CacheSettings, keep: ReadonlySet<string>): Promise<PreparedModel[]> {
  const models = await listPrepared(folder);
  let total = models.reduce((sum, { bytes }) => sum + bytes, 0);
  const gone: PreparedModel[] = [];
  for (const model of models.reverse()) {
    if (total <= mostBytes) break;
    if (keep.has(model.key)) continue;
    await removePrepared(folder, model.key);
    total -= model.bytes;
    gone.push(model);
  }
  return gone;
}
