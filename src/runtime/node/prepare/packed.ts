import { createHash } from "node:crypto";
import { mkdtemp, open, readdir, readFile, rename, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, UserError } from "../../../core/errors.ts";
import { gigabytes } from "../../../core/gigabytes.ts";
import type { Notice } from "../../../core/notice.ts";
import { withFile } from "../../../weights/index.ts";
import type { PackedCache } from "../../runtime.ts";
import type { EncodedModel } from "../encode-model.ts";
import { ortVersion } from "../ort-version.ts";
import { processor } from "../processor.ts";
import { evict, graphPath, openFolder, packedPath, readRecord, removePrepared, touch, writeRecord } from "./cache-folder.ts";

/**
 * Loads a model and caches what ONNX Runtime computes while loading: the optimised graph and, for each weight, a copy packed in the order in
 * which this processor's products read it. The next load maps these files instead of allocating memory for copies.
 * If they cannot be cached, the model is loaded without, with a notice.
 *
 * @param load loads a model in ONNX Runtime
 * @throws UserError cache/folder, and the errors of `load`
 * @see https://github.com/microsoft/onnxruntime/pull/23069
 */
export async function loadPacked(
  encoded: EncodedModel,
  keep: PackedCache,
  load: (model: EncodedModel) => Promise<void>,
): Promise<void> {
  const { folder } = keep.cache;
  const key = packedKey(encoded);
  await openFolder(folder);
  const found = await openPacked(encoded, key, keep);
  if (found !== undefined) {
    await touch(folder, key);
    return load(found);
  }
  const missing = await missingRoom(keep);
  if (missing !== undefined) {
    keep.onNotice?.(notKept(keep, missing));
    return load(encoded);
  }
  let temporary: string | undefined;
  try {
    await removeAbandoned(folder);
    temporary = await mkdtemp(join(folder, PACKING));
    await load(saving(encoded, temporary, key));
  } catch (error) {
    if (error instanceof UserError) throw error;
    await remove(temporary);
    await load(encoded); // the model may load even where packing it cannot be written
    keep.onNotice?.(notKept(keep, messageOf(error)));
    return;
  }
  try {
    await adopt(temporary, key, keep);
  } catch (error) {
    await removePrepared(folder, key).catch(() => undefined);
    keep.onNotice?.(notKept(keep, messageOf(error)));
  } finally {
    await remove(temporary);
  }
}

const packedNotice = (message: string): Notice => ({ code: "cache/packed", message });
const notKept = ({ model }: PackedCache, why: string): Notice =>
  packedNotice(`The packed weights of the ${model} cannot be cached, so it loads more slowly each time: ${why}`);

const remove = async (folder: string | undefined): Promise<void> => {
  // on systems where open files cannot be removed, a later packing removes them
  if (folder !== undefined) await rm(folder, { recursive: true, force: true }).catch(() => undefined);
};

/**
 * Hash of everything that packed weights depend on: the graph with the locations of its prepared weights (named by their content), the session's
 * optimisations, ONNX Runtime's version, and the kind of processor.
 */
export function packedKey({ model, options }: EncodedModel): string {
  const { optimization } = (options.extra ?? {}) as Extra;
  const hash = createHash("sha256").update(model);
  return hash
    .update(JSON.stringify([ortVersion(), processor(), options.graphOptimizationLevel, optimization]))
    .digest("hex")
    .slice(0, 40);
}

async function openPacked(
  encoded: EncodedModel,
  key: string,
  { cache, onNotice }: PackedCache,
): Promise<EncodedModel | undefined> {
  const { folder } = cache;
  const record = await readRecord(folder, key);
  if (record === undefined) return undefined;
  try {
    const model = await readFile(graphPath(folder, key));
    if ((await contentOf(model, packedPath(folder, key))) === record.content) return mapped(encoded, model, folder);
    onNotice?.(packedNotice(`The packed ${record.model} was changed since it was made: it is packed again.`));
  } catch (error) {
    onNotice?.(packedNotice(`The packed ${record.model} is damaged (${messageOf(error)}): it is packed again.`));
  }
  await removePrepared(folder, key);
  return undefined;
}

const SAMPLES = 1000;
const SAMPLE = 1024;

/** Hash of a graph and of samples of its weight file. */
async function contentOf(model: Uint8Array, weights: string): Promise<string> {
  const hash = createHash("sha256").update(model);
  await withFile(weights, async (file) => {
    const { size } = file;
    hash.update(`${size}`);
    const last = Math.max(0, size - SAMPLE);
    const places = new Set(Array.from({ length: SAMPLES }, (_, i) => Math.floor((last * i) / (SAMPLES - 1))));
    for (const at of places) hash.update(await file.read(at, Math.min(SAMPLE, size)));
  });
  return hash.digest("hex");
}

/** Size of the files that ONNX Runtime writes, relative to the weights: two copies of each weight, and weights that are not in 8 bits. */
const COPIES = 2.2;

async function missingRoom({ cache: { folder, mostBytes }, bytes }: PackedCache): Promise<string | undefined> {
  const { bavail, bsize } = await statfs(folder);
  const needed = COPIES * bytes;
  if (bavail * bsize < needed)
    return `they take ${gigabytes(needed)}, and ${gigabytes(bavail * bsize)} are free in ${folder}. Free some space, or set PHOTOMAKER_CACHE to another disk.`;
  // more would evict the prepared weights that they are made from
  if (needed > mostBytes / 2)
    return `they take ${gigabytes(needed)}, more than half of the ${gigabytes(mostBytes)} that PHOTOMAKER_CACHE_GB allows. Raise it.`;
  return undefined;
}

const PACKING = ".packing-";
const ABANDONED_MS = 3_600_000;

/** Removes files of processes that ended while packing. */
async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(PACKING)) continue;
    const path = join(folder, name);
    const made = await stat(path).catch(() => undefined);
    if (made !== undefined && Date.now() - made.mtimeMs > ABANDONED_MS) await remove(path);
  }
}

type Extra = Readonly<Record<string, Readonly<Record<string, string>> | undefined>>;

/** Adds session options to a model. */
function withSessionOptions({ model, options }: EncodedModel, more: Readonly<Record<string, string>>): EncodedModel {
  const extra = options.extra as Extra | undefined;
  return { model, options: { ...options, extra: { ...extra, session: { ...extra?.session, ...more } } } };
}

function saving(encoded: EncodedModel, folder: string, key: string): EncodedModel {
  const { model, options } = withSessionOptions(encoded, {
    optimized_model_external_initializers_file_name: packedPath("", key),
    optimized_model_external_initializers_min_size_in_bytes: "1024",
    save_external_prepacked_constant_initializers: "1",
  });
  return { model, options: { ...options, optimizedModelFilePath: graphPath(folder, key) } };
}

function mapped(encoded: EncodedModel, model: Uint8Array, folder: string): EncodedModel {
  const { options } = withSessionOptions(encoded, { model_external_initializers_file_folder_path: folder });
  return { model, options: { ...options, graphOptimizationLevel: "disabled" } };
}

/** Moves ONNX Runtime's files into the cache after they are synced to the disk. */
async function adopt(written: string, key: string, { cache, model, from }: PackedCache): Promise<void> {
  const { folder } = cache;
  const content = await contentOf(await readFile(graphPath(written, key)), packedPath(written, key));
  for (const path of [packedPath, graphPath]) {
    await using file = await open(path(written, key), "r+");
    await file.sync();
  }
  for (const path of [packedPath, graphPath]) await rename(path(written, key), path(folder, key));
  await writeRecord(folder, { key, model, precision: "int8, packed", from, content });
  await evict(cache, new Set([key]));
}
