import { homedir } from "node:os";
import { join } from "node:path";
import { ContentFolder } from "../../../core/content-folder.node.ts";
import { messageOf, UserError } from "../../../core/errors.ts";
import { makeFolder } from "../../../core/make-folder.node.ts";

/** Record of a prepared model: the file `<key>.json` beside its weights. */
export interface PreparedRecord {
  readonly key: string;
  /** The pipeline's name of the model, such as "unet". */
  readonly model: string;
  readonly precision: string;
  /** Name of the file or folder that it was made from. */
  readonly from: string;
  /** Fingerprint of the written weights. */
  readonly content: string;
}

export interface PreparedModel extends PreparedRecord {
  readonly bytes: number;
  readonly lastUsed: Date;
}

export interface CacheOptions {
  readonly folder: string;
  /** Total size above which models are removed, those least recently used first. */
  readonly mostBytes: number;
}

const DEFAULT_GB = 40;

/**
 * Reads the folder of prepared models from PHOTOMAKER_CACHE (by default in the system's cache folder), and their largest total size in
 * gigabytes from PHOTOMAKER_CACHE_GB (by default 40).
 * @throws UserError cache/size
 */
export function cacheOptions(env: Readonly<Record<string, string | undefined>> = process.env): CacheOptions {
  const text = env.PHOTOMAKER_CACHE_GB ?? `${DEFAULT_GB}`;
  const gigabytes = Number(text);
  if (text.trim() === "" || !(gigabytes >= 0))
    throw new UserError(
      "cache/size",
      `PHOTOMAKER_CACHE_GB is "${text}", which is not a size.`,
      "Set it to gigabytes, such as 40.",
    );
  return { folder: env.PHOTOMAKER_CACHE ?? join(systemCache(env), "photomaker", "prepared"), mostBytes: gigabytes * 1e9 };
}

function systemCache(env: Readonly<Record<string, string | undefined>>): string {
  if (process.platform === "win32") return env.LOCALAPPDATA ?? join(homedir(), "AppData", "Local");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches");
  return env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
}

/** Files of an entry in the cache: prepared weights, or a packed model's weights and graph, and the entry's record. */
const FILES = { endings: [".safetensors", ".bin", ".onnx"], note: ".json" };
export const preparedIn = (folder: string): ContentFolder => new ContentFolder(folder, FILES);

export const weightsPath = (folder: string, key: string): string => preparedIn(folder).file(key, ".safetensors");
export const packedPath = (folder: string, key: string): string => preparedIn(folder).file(key, ".bin");
export const graphPath = (folder: string, key: string): string => preparedIn(folder).file(key, ".onnx");

/** Makes the cache folder. @throws UserError cache/folder */
export async function openFolder(folder: string): Promise<void> {
  try {
    await makeFolder(folder);
  } catch (error) {
    throw new UserError(
      "cache/folder",
      `The folder of prepared models, ${folder}, cannot be made: ${messageOf(error)}`,
      "Set PHOTOMAKER_CACHE to a folder that you may write, or give --precision f32, which prepares nothing but what LoHa, DoRA and their like change.",
      { cause: error },
    );
  }
}

/** Reads the record of a model; undefined if it is absent or incomplete. */
export async function readRecord(folder: string, key: string): Promise<PreparedRecord | undefined> {
  const bytes = await preparedIn(folder).read(key);
  if (bytes === undefined) return undefined;
  try {
    const record = JSON.parse(new TextDecoder().decode(bytes)) as PreparedRecord;
    return record.key === key ? record : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Writes the record of a model. It is written after the weights, which are ignored without it. */
export const writeRecord = (folder: string, record: PreparedRecord): Promise<void> =>
  preparedIn(folder).write(record.key, new TextEncoder().encode(`${JSON.stringify(record, undefined, 2)}\n`));

/** Marks a model as just used. */
export const touch = (folder: string, key: string): Promise<void> => preparedIn(folder).touch(key);

/** Lists complete models, the most recently used first. */
export async function listPrepared(folder: string): Promise<PreparedModel[]> {
  const found: PreparedModel[] = [];
  for (const { key, bytes, lastUsed } of await preparedIn(folder).list()) {
    const record = await readRecord(folder, key);
    if (record !== undefined && bytes > 0) found.push({ ...record, bytes, lastUsed });
  }
  return found;
}

export const removePrepared = (folder: string, key: string): Promise<void> => preparedIn(folder).remove(key);

/** Removes the least recently used models until the rest fits. @param keep keys that are never removed @returns the removed models */
export const evict = async ({ folder, mostBytes }: CacheOptions, keep: ReadonlySet<string>): Promise<PreparedModel[]> =>
  preparedIn(folder).evict(await listPrepared(folder), mostBytes, keep);
