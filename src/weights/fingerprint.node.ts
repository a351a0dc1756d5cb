import { createHash, type Hash } from "node:crypto";
import type { TensorEntry } from "./tensor-entry.ts";

/** Bytes read at the beginning, in the middle and at the end of each tensor. */
const SAMPLE = 1024;
/** Tensors read concurrently. */
const AT_ONCE = 64;

/**
 * Hash of tensors' content: their names, types and shapes, and samples of their bytes. Further training changes every tensor, so samples tell
 * checkpoints apart, and a checkpoint of 7 GB is recognised at once.
 * @returns 64 hexadecimal digits
 * @throws UserError file/missing, file/truncated
 */
export async function fingerprint(entries: readonly TensorEntry[], ...more: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  hash.update(JSON.stringify(more));
  const digests: string[] = [];
  for (let from = 0; from < entries.length; from += AT_ONCE)
    digests.push(...(await Promise.all(entries.slice(from, from + AT_ONCE).map(digest))));
  for (const [i, { name, dtype, shape, transposed }] of entries.entries())
    addTo(hash, [name, dtype, shape, transposed, digests[i]]);
  return hash.digest("hex");
}

async function digest({ source, scale }: TensorEntry): Promise<string> {
  const hash = createHash("sha256");
  if (scale !== undefined) hash.update(await digest(scale));
  if (source.kind === "computed") {
    hash.update(source.recipe);
    for (const entry of source.of) addTo(hash, [entry.name, entry.dtype, entry.shape, entry.transposed, await digest(entry)]);
    return hash.digest("hex");
  }
  if (source.kind === "bytes") return hash.update(source.bytes).digest("hex");
  const { file, offset, length } = source;
  const size = Math.min(SAMPLE, length);
  for (const piece of await Promise.all(places(length).map((at) => file.read(offset + at, size)))) hash.update(piece);
  return hash.digest("hex");
}

const addTo = (hash: Hash, value: unknown): void => void hash.update(JSON.stringify(value));

function places(length: number): number[] {
  const last = Math.max(0, length - SAMPLE);
  return [...new Set([0, Math.floor(last / 2), last])];
}
