import { type ErrorCode, UserError } from "../core/errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { BLOCK_FORMATS, type BlockFormat, OTHER_FORMATS } from "./gguf-blocks.ts";
import { readBytes } from "./read-tensor.ts";
import { type ComputedBytes, DTYPE_BYTES, elementCount, type StoredDType, type TensorEntry } from "./tensor-entry.ts";
import type { TensorFile } from "./tensor-file.ts";

/** "GGUF" */
export const GGUF_MAGIC = [0x47, 0x47, 0x55, 0x46];

const MAX_HEADER = 100_000_000; // bytes; that of SDXL takes 200 KB
const MAX_DIMS = 8; // ggml has 4, and video models in such files 5
const VERSIONS = [2, 3];
const AGAIN = "The file is incomplete or damaged: download or copy it again.";

/** Plain formats by their number. */
const PLAIN: ReadonlyMap<number, StoredDType> = new Map([
  [0, "F32"],
  [1, "F16"],
  [24, "I8"],
  [25, "I16"],
  [26, "I32"],
  [27, "I64"],
  [28, "F64"],
  [30, "BF16"],
]);

/** A tensor as the header describes it. */
interface Described {
  readonly name: string;
  /** As PyTorch has it: GGUF has the sizes in reverse */
  readonly shape: readonly number[];
  readonly type: number;
  /** From the beginning of the data */
  readonly offset: number;
}

interface Header {
  readonly values: ReadonlyMap<string, unknown>;
  readonly tensors: readonly Described[];
  /** Bytes of the header */
  readonly length: number;
}

/**
 * Reads the header of a GGUF file. Plain numbers stay where they are; numbers in blocks are decoded when they are read.
 *
 * Files for SDXL have the UNet alone, with the original names (ComfyUI-GGUF), or whole checkpoints with theirs (stable-diffusion.cpp).
 * Tensors whose rows are no whole blocks are flattened there, and `comfy.gguf.orig_shape.<name>` tells their shape.
 *
 * @throws UserError gguf/version, gguf/big-endian, gguf/truncated, gguf/damaged, gguf/split; weights/number-format for blocks that are not read
 * @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; city96/ComfyUI-GGUF loader.py
 */
export async function readGguf(file: ByteSource): Promise<TensorFile> {
  const { id: path, size } = file;
  const fail: Fail = (code, problem, remedy = AGAIN) => {
    throw new UserError(code, `${path}: ${problem}`, remedy);
  };
  const { values, tensors: described, length } = await readHeader(file, fail);
  const parts = values.get("split.count");
  if (typeof parts === "number" && parts > 1)
    fail("gguf/split", `it is one of ${parts} parts.`, "Join them with `gguf-split --merge`, and give the result.");
  const alignment = values.get("general.alignment") ?? 32;
  if (typeof alignment !== "number" || !(alignment > 0 && alignment <= 2 ** 20) || !Number.isInteger(Math.log2(alignment)))
    return fail("gguf/damaged", `its alignment is ${String(alignment)}, which is no power of two.`);
  const start = Math.ceil(length / alignment) * alignment;

  const tensors = new Map<string, TensorEntry>();
  const places: { readonly name: string; readonly from: number; readonly to: number }[] = [];
  for (const { name, shape: listed, type, offset } of described) {
    if (tensors.has(name)) fail("gguf/damaged", `the name "${name}" occurs twice.`);
    const count = elementCount(listed);
    const dtype = PLAIN.get(type);
    const blocks = BLOCK_FORMATS.get(type);
    if (dtype === undefined && blocks === undefined)
      return fail(
        "weights/number-format",
        `"${name}" is stored as ${OTHER_FORMATS.get(type) ?? `the format number ${type}`}, which is not supported.`,
        `Give the weights in one of ${[...BLOCK_FORMATS.values()].map((known) => known.name).join(", ")}, or in float16.`,
      );
    if (blocks !== undefined && (listed.at(-1) ?? 0) % blocks.numbers !== 0)
      fail("gguf/damaged", `"${name}" [${listed}] has no whole blocks of ${blocks.numbers} in a row, as ${blocks.name} has.`);
    const bytes = blocks === undefined ? count * DTYPE_BYTES[dtype!] : (count / blocks.numbers) * blocks.bytes;
    if (offset % alignment !== 0) fail("gguf/damaged", `"${name}" lies at ${offset}, which is no multiple of ${alignment}.`);
    if (start + offset + bytes > size)
      fail("gguf/truncated", `it ends after ${size} bytes; "${name}" lies at ${start + offset} to ${start + offset + bytes}.`);
    places.push({ name, from: offset, to: offset + bytes });

    const shape = squared(name, original(values, name, listed, fail));
    const source = { kind: "file", file, offset: start + offset, length: bytes } as const;
    if (blocks === undefined) tensors.set(name, { name, dtype: dtype!, shape, source });
    else {
      const raw: TensorEntry = { name, dtype: "U8", shape: [bytes], source };
      tensors.set(name, { name, dtype: "F32", shape, source: decoded(raw, blocks, 0, count) });
    }
  }
  places.sort((a, b) => a.from - b.from || a.to - b.to);
  for (const [i, { name, from }] of places.entries())
    if (i > 0 && from < places[i - 1]!.to) fail("gguf/damaged", `"${name}" overlaps "${places[i - 1]!.name}".`);
  const metadata = [...values].filter(([key]) => !key.startsWith(ORIGINAL)).map(([key, value]) => [key, textOf(value)] as const);
  return { format: "gguf", path, tensors, metadata: Object.fromEntries(metadata) };
}

const ORIGINAL = "comfy.gguf.orig_shape.";

/** The shape that a tensor had before it was flattened. */
function original(values: Header["values"], name: string, listed: readonly number[], fail: Fail): readonly number[] {
  const shape = values.get(`${ORIGINAL}${name}`);
  if (shape === undefined) return listed;
  const isShape = Array.isArray(shape) && shape.every((n): n is number => Number.isSafeInteger(n) && n >= 0);
  if (!isShape || elementCount(shape) !== elementCount(listed))
    return fail("gguf/damaged", `the original shape [${String(shape)}] does not fit "${name}" [${listed}].`);
  return shape;
}

/** SDXL's projections before and behind attention are linear; stable-diffusion.cpp may write them as convolutions [c, c, 1, 1]. */
const squared = (name: string, shape: readonly number[]): readonly number[] =>
  /\.proj_(in|out)\.weight$/.test(name) && shape.length === 4 && shape[2] === 1 && shape[3] === 1 ? shape.slice(0, 2) : shape;

/** Numbers `from` to `to` of a tensor in blocks, in float32. */
function decoded(raw: TensorEntry, blocks: BlockFormat, from: number, to: number): ComputedBytes {
  const first = Math.floor(from / blocks.numbers);
  const last = Math.ceil(to / blocks.numbers);
  const { source } = raw;
  if (source.kind !== "file") throw new TypeError(`${raw.name} is not in a file`);
  const length = (last - first) * blocks.bytes;
  const needed: TensorEntry = {
    ...raw,
    shape: [length],
    source: { ...source, offset: source.offset + first * blocks.bytes, length },
  };
  const skip = from - first * blocks.numbers;
  return {
    kind: "computed",
    length: 4 * (to - from),
    recipe: `${blocks.name} ${skip}+${to - from}`,
    of: [needed],
    compute: async () => {
      const values = new Float32Array((last - first) * blocks.numbers);
      blocks.decode(await readBytes(needed), values);
      const wanted = to - from === values.length ? values : values.slice(skip, skip + to - from);
      return new Uint8Array(wanted.buffer);
    },
    part: (offset, bytes) => decoded(raw, blocks, from + offset / 4, from + (offset + bytes) / 4),
    stored: { format: blocks.name, bytes: Math.round(((to - from) / blocks.numbers) * blocks.bytes) },
  };
}

type Fail = (code: ErrorCode, problem: string, remedy?: string) => never;

/** The end of what has been read so far. */
class NeedsMore extends Error {}

async function readHeader(file: ByteSource, fail: Fail): Promise<Header> {
  const most = Math.min(file.size, MAX_HEADER);
  for (let read = 2 ** 18; ; read *= 4) {
    const length = Math.min(read, most);
    try {
      return parse(new HeaderReader(await file.read(0, length), fail), fail);
    } catch (error) {
      if (!(error instanceof NeedsMore)) throw error;
      if (length === file.size) fail("gguf/truncated", `it ends after ${file.size} bytes, in its header.`);
      if (length === most) fail("gguf/damaged", `its header has more than ${MAX_HEADER} bytes.`);
    }
  }
}

/** Reads the numbers and texts of a header one after the other. */
class HeaderReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #fail: Fail;
  at = 0;

  constructor(bytes: Uint8Array, fail: Fail) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#fail = fail;
  }

  /** @throws NeedsMore */
  #take(length: number): number {
    const start = this.at;
    if (start + length > this.#bytes.length) throw new NeedsMore();
    this.at += length;
    return start;
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** A count or place. @throws UserError gguf/damaged beyond 2^53 */
  count(what: string): number {
    const value = this.#view.getBigUint64(this.#take(8), true);
    return value > BigInt(Number.MAX_SAFE_INTEGER) ? this.#fail("gguf/damaged", `${what} is ${value}.`) : Number(value);
  }

  text(what: string): string {
    const length = this.count(`the length of ${what}`);
    if (length > MAX_HEADER) this.#fail("gguf/damaged", `${what} is ${length} bytes long.`);
    const start = this.#take(length);
    return new TextDecoder().decode(this.#bytes.subarray(start, start + length));
  }

  /** A value of the metadata; of lists of more than a few values, their number alone. */
  value(type: number, key: string, depth = 0): unknown {
    const view = this.#view;
    switch (type) {
      case 0:
        return view.getUint8(this.#take(1));
      case 1:
        return view.getInt8(this.#take(1));
      case 2:
        return view.getUint16(this.#take(2), true);
      case 3:
        return view.getInt16(this.#take(2), true);
      case 4:
        return this.u32();
      case 5:
        return view.getInt32(this.#take(4), true);
      case 6:
        return view.getFloat32(this.#take(4), true);
      case 7:
        return view.getUint8(this.#take(1)) !== 0;
      case 8:
        return this.text(`the text "${key}"`);
      case 9:
        return this.#list(key, depth);
      case 10:
        return asNumber(view.getBigUint64(this.#take(8), true));
      case 11:
        return asNumber(view.getBigInt64(this.#take(8), true));
      case 12:
        return view.getFloat64(this.#take(8), true);
      default:
        return this.#fail("gguf/damaged", `"${key}" of its metadata has the type ${type}.`);
    }
  }

  #list(key: string, depth: number): unknown {
    if (depth > 4) return this.#fail("gguf/damaged", `"${key}" of its metadata is a list in lists without end.`);
    const type = this.u32();
    const length = this.count(`the length of "${key}"`);
    const size = type === 8 ? 8 : type === 9 ? 12 : 1; // the least that each takes
    if (length * size > MAX_HEADER) return this.#fail("gguf/damaged", `"${key}" of its metadata has ${length} values.`);
    if (this.at + length * size > this.#bytes.length) throw new NeedsMore();
    const kept: unknown[] = [];
    for (let i = 0; i < length; i++) {
      const value = this.value(type, key, depth + 1);
      if (length <= MOST_LISTED) kept.push(value);
    }
    return length <= MOST_LISTED ? kept : `${length} values`;
  }
}

/** Values of a list that are kept. */
const MOST_LISTED = 16;

const asNumber = (value: bigint): number | bigint => (BigInt(Number(value)) === value ? Number(value) : value);

const textOf = (value: unknown): string => (Array.isArray(value) ? value.map(textOf).join(", ") : String(value));

function parse(r: HeaderReader, fail: Fail): Header {
  r.u32(); // the magic
  const version = r.u32();
  if ((version & 0xffff) === 0 && version !== 0)
    fail("gguf/big-endian", "it was written for a machine with the other order of bytes.", "Download the little-endian file.");
  if (!VERSIONS.includes(version))
    fail(
      "gguf/version",
      `it has version ${version} of the format; ${VERSIONS.join(" and ")} are read.`,
      "Write or download the file again, with a program of today.",
    );
  const tensorCount = r.count("the number of tensors");
  const valueCount = r.count("the number of metadata");
  if (Math.max(tensorCount, valueCount) * 12 > MAX_HEADER)
    fail("gguf/damaged", `its header claims ${tensorCount} tensors and ${valueCount} metadata.`);
  const values = new Map<string, unknown>();
  for (let i = 0; i < valueCount; i++) {
    const key = r.text("a name in its metadata");
    if (values.has(key)) fail("gguf/damaged", `"${key}" occurs twice in its metadata.`);
    values.set(key, r.value(r.u32(), key));
  }
  const tensors: Described[] = [];
  for (let i = 0; i < tensorCount; i++) {
    const name = r.text("the name of a tensor");
    const dims = r.u32();
    if (dims > MAX_DIMS) fail("gguf/damaged", `"${name}" has ${dims} dimensions.`);
    const shape = Array.from({ length: dims }, () => r.count(`a size of "${name}"`)).toReversed();
    if (!Number.isSafeInteger(elementCount(shape))) fail("gguf/damaged", `"${name}" has the shape [${shape}].`);
    tensors.push({ name, shape, type: r.u32(), offset: r.count(`the place of "${name}"`) });
  }
  return { values, tensors, length: r.at };
}
