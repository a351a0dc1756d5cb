import type { ByteSource } from "./byte-source.ts";

/** Element types as safetensors names them. */
export type StoredDType = keyof typeof DTYPE_BYTES;

/** Bytes per element. */
export const DTYPE_BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const;

export const isStoredDType = (name: unknown): name is StoredDType => typeof name === "string" && Object.hasOwn(DTYPE_BYTES, name);

/** A range of bytes in a file. */
export interface FileRange {
  readonly kind: "file";
  readonly file: ByteSource;
  readonly offset: number;
  readonly length: number;
}

/** Bytes in memory, where no file has them in the form needed. */
export interface InlineBytes {
  readonly kind: "bytes";
  readonly bytes: Uint8Array;
}

/** Bytes that are computed each time when they are read, from other tensors. */
export interface ComputedBytes {
  readonly kind: "computed";
  readonly length: number;
  /** What is computed, and of which tensors: the same gives the same bytes. */
  readonly recipe: string;
  readonly of: readonly TensorEntry[];
  readonly compute: () => Promise<Uint8Array>;
  /** Computes some of the bytes alone, where that is less work than computing all. */
  readonly part?: (offset: number, length: number) => ComputedBytes;
  /** The number format of the file and the bytes there, where they are a file's numbers in a format that only this package reads. */
  readonly stored?: { readonly format: string; readonly bytes: number };
}

/** A named tensor and where its bytes are; nothing is read until asked for. Bytes are contiguous, little-endian. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  readonly source: FileRange | InlineBytes | ComputedBytes;
  /** Stored as [b, a] although the shape says [a, b]. */
  readonly transposed?: true;
  /** What the stored numbers are multiplied by: one number, shape [], or one for each row as stored, shape [rows]. */
  readonly scale?: TensorEntry;
}

export type Tensors = ReadonlyMap<string, TensorEntry>;

export const elementCount = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/** Bytes that are read for a tensor. */
export const byteLength = ({ source }: TensorEntry): number => (source.kind === "bytes" ? source.bytes.length : source.length);

/** The number format of a tensor as its file has it, and its bytes there. */
export const storedAs = (entry: TensorEntry): { readonly format: string; readonly bytes: number } =>
  (entry.source.kind === "computed" ? entry.source.stored : undefined) ?? { format: entry.dtype, bytes: byteLength(entry) };

/** Rows `from` to `to` (exclusive) along the first axis, as a tensor of its own; no bytes are copied. */
export function sliceRows(entry: TensorEntry, from: number, to: number): TensorEntry {
  const [rows, ...rest] = entry.shape;
  if (entry.transposed || rows === undefined || from < 0 || to > rows || from > to)
    throw new RangeError(`rows ${from} to ${to} of ${entry.name} [${entry.shape}]`);
  const row = elementCount(rest) * DTYPE_BYTES[entry.dtype];
  const { scale } = entry;
  return {
    ...entry,
    shape: [to - from, ...rest],
    ...(scale !== undefined && scale.shape.length > 0 && { scale: sliceRows(scale, from, to) }),
    source: sliceBytes(entry.source, from * row, (to - from) * row),
  };
}

function sliceBytes(source: TensorEntry["source"], offset: number, length: number): TensorEntry["source"] {
  if (source.kind === "file") return { ...source, offset: source.offset + offset, length };
  if (source.kind === "bytes") return { ...source, bytes: source.bytes.subarray(offset, offset + length) };
  if (source.part !== undefined) return source.part(offset, length);
  return {
    ...source,
    length,
    recipe: `${source.recipe} ${offset}+${length}`,
    compute: async () => (await source.compute()).subarray(offset, offset + length),
  };
}

/** The entries of `tensors` whose names start with `prefix`, under names without it. */
export function withoutPrefix(tensors: Tensors, prefix: string): Tensors {
  const out = new Map<string, TensorEntry>();
  for (const [name, entry] of tensors)
    if (name.startsWith(prefix)) {
      const short = name.slice(prefix.length);
      out.set(short, { ...entry, name: short });
    }
  return out;
}
