import { join } from "node:path";
import { messageOf } from "../../core/errors.ts";
import { makeFolder } from "../../core/make-folder.node.ts";
import { decodePhoto } from "../../image/decode-photo.ts";
import type { Rgb8 } from "../../image/rgb8.ts";
import { readSafetensorsFile } from "../../weights/open-tensors.node.ts";
import { exists } from "../../weights/read-json.node.ts";
import { writeSafetensors } from "../../weights/safetensors-write.node.ts";
import type { KnownFile } from "./picture-list.node.ts";

export interface KeptFeaturesOptions {
  /** Folder of the kept features. */
  readonly folder: string;
  /** Names the network and its weights: features of another are not used. */
  readonly key: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Features by the hash of the picture's file, and files that are no pictures, with the reason. */
export interface FoundFeatures {
  readonly features: ReadonlyMap<string, Float32Array>;
  readonly broken: ReadonlyMap<string, string>;
}

const AT_ONCE = 16;
/** Features are written after so many pictures, so that a stopped run loses little. */
const KEEP_AFTER = 256;

/**
 * Features of picture files, each content once. Known ones are read from the folder; new ones are kept there, so that a run goes on where it stopped.
 * @param compute a network; all its features have one length
 */
export async function keptFeatures(
  files: readonly KnownFile[],
  compute: (pictures: readonly Rgb8[]) => Promise<readonly Float32Array[]>,
  { folder, key, signal, onProgress = () => {} }: KeptFeaturesOptions,
): Promise<FoundFeatures> {
  const path = join(folder, `${key}.safetensors`);
  const features = await readKept(path);
  const broken = new Map<string, string>();
  const all = new Map(files.map((file) => [file.hash, file.path]));
  const missing = [...all].filter(([hash]) => !features.has(hash));
  let unsaved = 0;
  for (let from = 0; from < missing.length; from += AT_ONCE) {
    signal?.throwIfAborted();
    onProgress(from, missing.length);
    const decoded: [hash: string, picture: Rgb8][] = [];
    for (const [hash, file] of missing.slice(from, from + AT_ONCE))
      await decodePhoto(file).then(
        (picture) => decoded.push([hash, picture]),
        (error: unknown) => broken.set(hash, messageOf(error)),
      );
    const found = await compute(decoded.map(([, picture]) => picture));
    for (const [i, [hash]] of decoded.entries()) features.set(hash, found[i]!);
    unsaved += decoded.length;
    if (unsaved >= KEEP_AFTER) {
      await keep(path, features);
      unsaved = 0;
    }
  }
  if (unsaved > 0) await keep(path, features);
  onProgress(missing.length, missing.length);
  return { features, broken };
}

async function readKept(path: string): Promise<Map<string, Float32Array>> {
  const out = new Map<string, Float32Array>();
  if (!(await exists(path))) return out;
  const tensors = await readSafetensorsFile(path);
  const hashes = tensors.get("hashes")!.values as Uint8Array;
  const values = tensors.get("features")!.values as Float32Array;
  const count = hashes.length / HASH_BYTES;
  const width = values.length / count;
  for (let i = 0; i < count; i++)
    out.set(
      Buffer.from(hashes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES)).toString("hex"),
      values.slice(i * width, (i + 1) * width),
    );
  return out;
}

const HASH_BYTES = 32;

async function keep(path: string, features: ReadonlyMap<string, Float32Array>): Promise<void> {
  await makeFolder(join(path, ".."));
  const rows = [...features];
  const width = rows[0]![1].length;
  const hashes = new Uint8Array(rows.length * HASH_BYTES);
  const values = new Float32Array(rows.length * width);
  for (const [i, [hash, feature]] of rows.entries()) {
    hashes.set(Buffer.from(hash, "hex"), i * HASH_BYTES);
    values.set(feature, i * width);
  }
  await writeSafetensors(path, [
    { name: "hashes", dtype: "U8", shape: [rows.length, HASH_BYTES], data: hashes },
    { name: "features", dtype: "F32", shape: [rows.length, width], data: values },
  ]);
}
