import { readdir, readFile, rm, stat, utimes } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { writeFileAtomically } from "../../core/atomic-file.node.ts";
import { messageOf, systemCode, UserError } from "../../core/errors.ts";
import { makeFolder } from "../../core/make-folder.node.ts";

/** What is known of a prepared model: the file `<key>.json` beside its weights. */
export interface PreparedNote {
  readonly key: string;
  /** Which of the pipeline's models it is, such as "unet". */
  readonly model: string;
  readonly precision: string;
  /** Name of the file or folder that it was made from. */
  readonly from: string;
  /** Fingerprint of the weights as they were written. */
  readonly content: string;
}

export interface PreparedModel extends PreparedNote {
  readonly bytes: number;
  readonly lastUsed: Date;
}

export interface CacheSettings {
  readonly folder: string;
  /** Models are given up, those used longest ago first, when all together are larger. */
  readonly mostBytes: number;
}

const DEFAULT_GB = 40;

/**
 * Where prepared models lie: PHOTOMAKER_CACHE, else the system's folder for caches; and how large they may be together:
 * PHOTOMAKER_CACHE_GB, 40 when it is not set.
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
/** Of a packed model: its weights, which another kind of file has, and its graph. */
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

/** The note of a model, if it is complete. */
export async function readNote(folder: string, key: string): Promise<PreparedNote | undefined> {
  try {
    const note = JSON.parse(await readFile(notePath(folder, key), "utf8")) as PreparedNote;
    return note.key === key ? note : undefined;
  } catch (error) {
    if (systemCode(error) === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Written last: without it the weights count for nothing. */
export async function writeNote(folder: string, note: PreparedNote): Promise<void> {
  const bytes = new TextEncoder().encode(`${JSON.stringify(note, undefined, 2)}\n`);
  await writeFileAtomically(notePath(folder, note.key), (sink) => sink.write(bytes));
}

/** Notes that a model was used now. */
export async function touch(folder: string, key: string): Promise<void> {
  const now = new Date();
  await utimes(notePath(folder, key), now, now).catch(() => undefined); // a folder that can only be read still serves
}

/** All complete models, those used last first. */
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

/** The note goes first, so that no half of a model is ever taken for a whole one. */
export async function removePrepared(folder: string, key: string): Promise<void> {
  await rm(notePath(folder, key), { force: true });
  for (const path of filesOf(folder, key)) await rm(path, { force: true });
}

/** Gives up models, those used longest ago first, until the rest fits. @param keep is not given up @returns what was */
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
