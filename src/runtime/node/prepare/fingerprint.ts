import { createHash, type Hash } from "node:crypto";
import { type TensorEntry, withFile } from "../../../weights/index.ts";

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
  const files = new Map<string, number[]>();
  const digests = new Array<string>(entries.length);
  for (const [i, { source }] of entries.entries()) {
    if (source.kind === "bytes") digests[i] = createHash("sha256").update(source.bytes).digest("hex");
    else files.set(source.file, [...(files.get(source.file) ?? []), i]);
  }
  for (const [path, indices] of files)
    await withFile(path, async (file) => {
      const digest = async (i: number): Promise<void> => {
        const { source } = entries[i]!;
        if (source.kind !== "file") return;
        const size = Math.min(SAMPLE, source.length);
        const part = createHash("sha256");
        for (const piece of await Promise.all(places(source.length).map((at) => file.read(source.offset + at, size))))
          part.update(piece);
        digests[i] = part.digest("hex");
      };
      for (let from = 0; from < indices.length; from += AT_ONCE)
        await Promise.all(indices.slice(from, from + AT_ONCE).map(digest));
    });
  for (const [i, { name, dtype, shape, transposed }] of entries.entries())
    addTo(hash, [name, dtype, shape, transposed, digests[i]]);
  return hash.digest("hex");
}

const addTo = (hash: Hash, value: unknown): void => void hash.update(JSON.stringify(value));

function places(length: number): number[] {
  const last = Math.max(0, length - SAMPLE);
  return [...new Set([0, Math.floor(last / 2), last])];
}
