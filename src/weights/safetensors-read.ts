import { type ErrorCode, messageOf, UserError } from "../core/errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { DTYPE_BYTES, elementCount, isStoredDType, type TensorEntry } from "./tensor-entry.ts";
import type { TensorFile } from "./tensor-file.ts";

const MAX_HEADER = 100_000_000; // bytes, as in the reference
const AGAIN = "The file is incomplete or damaged: download or copy it again.";

/**
 * Reads the header of a safetensors file by the rules of the reference reader: the tensors fill the rest of the
 * file without gaps, overlaps or a remainder.
 *
 * @throws UserError safetensors/truncated (no room for a header), safetensors/header-too-large, safetensors/not-json,
 *   safetensors/entry (a malformed description of a tensor), safetensors/dtype, safetensors/offsets,
 *   safetensors/overlap, safetensors/hole, safetensors/length (shape and bytes disagree), safetensors/duplicate-name,
 *   safetensors/trailing-bytes, safetensors/metadata
 * @see https://github.com/huggingface/safetensors, safetensors/src/tensor.rs: read_metadata, validate
 */
export async function parseSafetensors(file: ByteSource): Promise<TensorFile> {
  const { id: path, size } = file;
  const fail = (code: ErrorCode, problem: string, remedy = AGAIN, cause?: unknown): never => {
    throw new UserError(code, `${path}: ${problem}`, remedy, { cause });
  };
  if (size < 8) fail("safetensors/truncated", `${size} bytes are too few for a safetensors file.`);
  const length = new DataView((await file.read(0, 8)).buffer).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER))
    fail("safetensors/header-too-large", `its header claims ${length} bytes; at most ${MAX_HEADER} are read.`);
  const start = 8 + Number(length);
  if (start > size) fail("safetensors/header-too-large", `its header claims ${length} bytes, but the file has only ${size}.`);

  const text = new TextDecoder().decode(await file.read(8, Number(length)));
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    fail("safetensors/not-json", `its header is not JSON (${messageOf(error)}).`, AGAIN, error);
  }
  if (!isRecord(header)) return fail("safetensors/not-json", "its header is not a JSON object.");
  const twice = repeatedKey(text);
  if (twice !== undefined) fail("safetensors/duplicate-name", `the name "${twice}" occurs twice.`);

  const tensors = new Map<string, TensorEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") {
      if (!isRecord(value) || !Object.values(value).every((text) => typeof text === "string"))
        fail(
          "safetensors/metadata",
          "its __metadata__ has values that are not strings.",
          "Write the file again with texts only.",
        );
      metadata = value as Record<string, string>;
      continue;
    }
    if (!isRecord(value)) return fail("safetensors/entry", `the entry "${name}" is not an object.`);
    const { dtype, shape, data_offsets: offsets } = value;
    if (typeof dtype === "string" && /^F(4|6|8)_?/.test(dtype) && !isStoredDType(dtype))
      return fail(
        "weights/number-format",
        `"${name}" is stored as ${dtype}, which is not supported.`,
        "Give the weights in float32, float16, bfloat16 or 8-bit floats (F8_E4M3, F8_E5M2).",
      );
    if (!isStoredDType(dtype))
      return fail(
        "safetensors/dtype",
        `"${name}" has the element type ${JSON.stringify(dtype)}.`,
        `Known types are ${Object.keys(DTYPE_BYTES).join(", ")}.`,
      );
    if (!isSizes(shape)) return fail("safetensors/entry", `"${name}" has the shape ${JSON.stringify(shape)}.`);
    if (!isSizes(offsets) || offsets.length !== 2)
      return fail("safetensors/entry", `"${name}" has the offsets ${JSON.stringify(offsets)}.`);
    const [from, to] = offsets as [number, number];
    if (from > to || to > size - start)
      fail("safetensors/offsets", `"${name}" lies at ${from} to ${to}, but the file has ${size - start} bytes of data.`);
    const needed = elementCount(shape) * DTYPE_BYTES[dtype];
    if (needed !== to - from)
      fail("safetensors/length", `"${name}", ${dtype} [${shape}], takes ${needed} bytes but has ${to - from}.`);
    tensors.set(name, { name, dtype, shape, source: { kind: "file", file, offset: start + from, length: to - from } });
  }

  let end = start;
  let before = "the header";
  for (const { name, source } of [...tensors.values()].sort(byPlace)) {
    if (source.kind !== "file") continue;
    if (source.offset < end) fail("safetensors/overlap", `"${name}" overlaps ${before}.`);
    if (source.offset > end)
      fail("safetensors/hole", `${source.offset - end} bytes between ${before} and "${name}" belong to no tensor.`);
    end = source.offset + source.length;
    before = `"${name}"`;
  }
  if (end !== size) fail("safetensors/trailing-bytes", `${size - end} bytes after the last tensor belong to no tensor.`);
  return { format: "safetensors", path, tensors, metadata };
}

function byPlace({ source: a }: TensorEntry, { source: b }: TensorEntry): number {
  if (a.kind !== "file" || b.kind !== "file") return 0;
  return a.offset - b.offset || a.length - b.length;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);

/** The first key that occurs twice at the top level of valid JSON; JSON.parse would silently keep the last. */
function repeatedKey(json: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  for (const [token, string] of json.matchAll(/("(?:[^"\\]|\\.)*")\s*:?|[{}[\]]/g)) {
    if (string !== undefined) {
      if (depth !== 1 || !token.endsWith(":")) continue;
      const key = JSON.parse(string) as string;
      if (seen.has(key)) return key;
      seen.add(key);
    } else depth += token === "{" || token === "[" ? 1 : -1;
  }
  return undefined;
}
