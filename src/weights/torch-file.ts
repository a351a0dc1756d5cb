import { type ErrorCode, UserError } from "../core/errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { DTYPE_BYTES, elementCount, type TensorEntry } from "./tensor-entry.ts";
import type { TensorFile } from "./tensor-file.ts";
import { isView, readTorchPickle, type Storage, type StorageView, storageBytes } from "./torch-pickle.ts";
import { readZipDirectory, readZipEntry, type ZipEntry } from "./zip.ts";

const MAX_PICKLE = 2 ** 26; // bytes; that of SDXL takes half a megabyte
const MAX_INLINE = 2 ** 30; // bytes held in memory because the file does not have them in order
const MAX_NAMES = 1_000_000;
const MAX_DEPTH = 32;
const AGAIN = "The file is incomplete or damaged: download or copy it again.";
const AS_SAFETENSORS = "Save its weights as safetensors.";

/**
 * Reads a file of torch.save since version 1.6: a zip archive with a pickle and one member for each storage.
 * Storages are used in place; compressed ones and tensors that are not contiguous are read into memory.
 *
 * @throws UserError torch/not-torch, torch/script, torch/byte-order, torch/missing-storage, torch/storage-size,
 *   torch/too-large, torch/duplicate-name, torch/corrupt; zip/*, pickle/*
 */
export async function readTorchZip(file: ByteSource): Promise<TensorFile> {
  const fail = failure(file.id);
  const entries = await readZipDirectory(file);
  const pickle = [...entries.values()].find(({ name }) => /^([^/]+\/)?data\.pkl$/.test(name));
  if (pickle === undefined)
    return fail("torch/not-torch", "this zip archive was not written by torch.save.", "Unpack it: the weights may be inside.");
  const root = pickle.name.slice(0, -"data.pkl".length);
  if (entries.has(`${root}constants.pkl`))
    fail("torch/script", "this is a TorchScript program, not a file of weights.", AS_SAFETENSORS);
  if (pickle.size > MAX_PICKLE) fail("torch/too-large", `its pickle has ${pickle.size} bytes.`, AS_SAFETENSORS);
  const order = entries.get(`${root}byteorder`);
  if (order !== undefined && order.size <= 16 && new TextDecoder().decode(await readZipEntry(file, order)) !== "little")
    fail("torch/byte-order", "it was written on a big-endian machine.", AS_SAFETENSORS);

  const { value } = readTorchPickle(await readZipEntry(file, pickle), file.id);
  const locate = (storage: Storage): ZipEntry => {
    const entry = entries.get(`${root}data/${storage.key}`);
    if (entry === undefined) return fail("torch/missing-storage", `the storage ${storage.key} is missing.`);
    if (storageBytes(storage) > entry.size)
      fail("torch/storage-size", `the storage ${storage.key} should have ${storageBytes(storage)} bytes but has ${entry.size}.`);
    return entry;
  };
  const inflated = new Map<string, Uint8Array>();
  return collect(file, "torch-zip", value, async (storage, spend) => {
    const entry = locate(storage);
    if (entry.stored) return entry.offset;
    const known = inflated.get(storage.key);
    if (known) return known;
    spend(entry.size);
    const bytes = await readZipEntry(file, entry);
    inflated.set(storage.key, bytes);
    return bytes;
  });
}

/** First bytes of a torch.save file from before version 1.6: a pickled magic number. */
export const LEGACY_MAGIC = Uint8Array.of(0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19);

/**
 * Reads a file of torch.save from before version 1.6: five pickles (magic, protocol, system, the value, the keys of
 * the storages), then each storage as a count and its elements.
 *
 * @throws UserError torch/byte-order, torch/corrupt, torch/missing-storage, torch/storage-size, torch/too-large, torch/duplicate-name; pickle/*
 * @see torch/serialization.py: _legacy_load
 */
export async function readTorchLegacy(file: ByteSource): Promise<TensorFile> {
  const fail = failure(file.id);
  const bytes = await file.read(0, Math.min(file.size, MAX_PICKLE));
  let end = 0;
  const next = (): unknown => {
    const part = readTorchPickle(bytes, file.id, end);
    end = part.end;
    return part.value;
  };
  const [, , system, value, keys] = [next(), next(), next(), next(), next()];
  if (system instanceof Map && system.get("little_endian") === false)
    fail("torch/byte-order", "it was written on a big-endian machine.", AS_SAFETENSORS);
  if (!Array.isArray(keys)) return fail("torch/corrupt", "its list of storages is missing.");

  const storages = new Map<string, Storage>();
  for (const { storage } of viewsOf(value, fail)) storages.set(storage.key, storage);
  const places = new Map<string, number>();
  for (const key of keys) {
    const storage = storages.get(key);
    if (storage === undefined) return fail("torch/corrupt", `nothing refers to the storage ${key}, so its size is unknown.`);
    const count = new DataView((await file.read(end, 8)).buffer).getBigInt64(0, true);
    if (count !== BigInt(storage.count))
      fail("torch/storage-size", `the storage ${key} should have ${storage.count} elements but has ${count}.`);
    places.set(key, end + 8);
    end += 8 + storageBytes(storage);
    if (end > file.size) fail("torch/storage-size", `the storage ${key} reaches beyond the end of the file.`);
  }
  return collect(
    file,
    "torch-legacy",
    value,
    async ({ key }) => places.get(key) ?? fail("torch/missing-storage", `the storage ${key} is missing.`),
  );
}

/** Finds the bytes of a storage: an offset in the file, or the bytes themselves. `spend` counts the bytes held in memory. */
type Locate = (storage: Storage, spend: (bytes: number) => void) => Promise<number | Uint8Array>;

async function collect(file: ByteSource, format: TensorFile["format"], value: unknown, locate: Locate): Promise<TensorFile> {
  const fail = failure(file.id);
  const tensors = new Map<string, TensorEntry>();
  const metadata: [string, string][] = [];
  let held = 0;
  const spend = (bytes: number) => {
    held += bytes;
    if (held > MAX_INLINE)
      fail("torch/too-large", `more than ${MAX_INLINE} bytes of it are compressed or out of order.`, AS_SAFETENSORS);
  };
  for (const [name, leaf] of leaves(value, fail)) {
    if (!isView(leaf)) metadata.push([name, String(leaf)]);
    else if (tensors.has(name)) fail("torch/duplicate-name", `the name "${name}" occurs twice.`);
    else tensors.set(name, await toEntry(name, leaf, file, await locate(leaf.storage, spend), spend));
  }
  return { format, path: file.id, tensors, metadata: Object.fromEntries(metadata) };
}

async function toEntry(
  name: string,
  { dtype, offset, shape, stride }: StorageView,
  file: ByteSource,
  storage: number | Uint8Array,
  spend: (bytes: number) => void,
): Promise<TensorEntry> {
  const size = DTYPE_BYTES[dtype];
  const count = elementCount(shape);
  const range = async (from: number, length: number): Promise<Uint8Array> =>
    typeof storage === "number" ? file.read(storage + from, length) : storage.subarray(from, from + length);
  const inPlace = (): TensorEntry["source"] =>
    typeof storage === "number"
      ? { kind: "file", file, offset: storage + offset * size, length: count * size }
      : { kind: "bytes", bytes: storage.subarray(offset * size, (offset + count) * size) };
  if (isContiguous(shape, stride)) return { name, dtype, shape, source: inPlace() };
  if (shape.length === 2 && isContiguous([shape[1]!, shape[0]!], [stride[1]!, stride[0]!]))
    return { name, dtype, shape, source: inPlace(), transposed: true };

  spend(count * size);
  const last = shape.reduce((sum, extent, i) => sum + (extent - 1) * stride[i]!, 0);
  const bytes = gather(await range(offset * size, (last + 1) * size), shape, stride, size);
  return { name, dtype, shape, source: { kind: "bytes", bytes } };
}

function isContiguous(shape: readonly number[], stride: readonly number[]): boolean {
  if (shape.includes(0)) return true;
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && stride[i] !== step) return false;
    step *= shape[i]!;
  }
  return true;
}

function gather(bytes: Uint8Array, shape: readonly number[], stride: readonly number[], size: number): Uint8Array {
  const count = elementCount(shape);
  const out = new Uint8Array(count * size);
  const index = shape.map(() => 0);
  for (let i = 0, from = 0; i < count; i++) {
    for (let k = 0; k < size; k++) out[i * size + k] = bytes[from * size + k]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      from += stride[axis]!;
      if (index[axis]! < shape[axis]!) break;
      from -= shape[axis]! * stride[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

/** All leaves of nested dictionaries and lists, by dotted name. A single value has the name "". */
function leaves(root: unknown, fail: Fail): [string, unknown][] {
  const out: [string, unknown][] = [];
  let visited = 0;
  const walk = (value: unknown, name: string, depth: number): void => {
    // a dictionary may hold itself, and shared ones may multiply
    if (depth > MAX_DEPTH || ++visited > MAX_NAMES)
      fail("torch/too-large", "its dictionaries are nested without end.", AS_SAFETENSORS);
    const inside = (key: unknown) => (name === "" ? String(key) : `${name}.${key}`);
    if (value instanceof Map) for (const [key, item] of value) walk(item, inside(key), depth + 1);
    else if (Array.isArray(value)) value.forEach((item, i) => void walk(item, inside(i), depth + 1));
    else if (isView(value) || ["string", "number", "bigint", "boolean"].includes(typeof value)) out.push([name, value]);
  };
  walk(root, "", 0);
  return out;
}

const viewsOf = (root: unknown, fail: Fail): StorageView[] =>
  leaves(root, fail).flatMap(([, value]) => (isView(value) ? [value] : []));

type Fail = (code: ErrorCode, problem: string, remedy?: string) => never;

const failure =
  (path: string): Fail =>
  (code, problem, remedy = AGAIN) => {
    throw new UserError(code, `${path}: ${problem}`, remedy);
  };
