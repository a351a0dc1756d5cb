import { type ByteSink, writeFileAtomically } from "../core/atomic-file.node.ts";
import { readRowMajor } from "./read-tensor.ts";
import { DTYPE_BYTES, elementCount, type StoredDType, type TensorEntry } from "./tensor-entry.ts";

/** Bytes, or a function that produces them when they are to be written, at once or in pieces. */
export type TensorData = ArrayBufferView | (() => Promise<ArrayBufferView> | AsyncIterable<ArrayBufferView>);

export interface TensorToWrite {
  readonly name: string;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  /** Values, little-endian and row-major */
  readonly data: TensorData;
}

/**
 * Writes a safetensors file, complete or not at all. One tensor is held at a time, so that files larger than memory
 * can be written. Tensors are ordered as the reference orders them (wide elements first, then by name), so the
 * same content gives the same bytes.
 *
 * @param options.asGiven keeps the order of `tensors`
 * @throws UserError disk/full, disk/denied, disk/no-folder, disk/is-folder, disk/failed
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<TensorToWrite>,
  metadata: Readonly<Record<string, string>> = {},
  { asGiven = false }: { readonly asGiven?: boolean } = {},
): Promise<void> {
  const ordered = [...tensors];
  if (!asGiven)
    ordered.sort((a, b) => DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype] || (a.name < b.name ? -1 : Number(a.name > b.name)));
  const header: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) header.push(["__metadata__", metadata]);
  let end = 0;
  for (const { name, dtype, shape } of ordered) {
    const start = end;
    end += elementCount(shape) * DTYPE_BYTES[dtype];
    header.push([name, { dtype, shape, data_offsets: [start, end] }]);
  }
  if (new Set(header.map(([name]) => name)).size !== header.length) throw new Error(`two tensors of ${path} have one name`);

  await writeFileAtomically(path, async (sink) => {
    await sink.write(frame(`{${header.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(",")}}`));
    for (const tensor of ordered) await writeTensor(sink, tensor);
  });
}

/** A tensor to write whose bytes are read from elsewhere when it is written. */
export const copyTensor = (entry: TensorEntry): TensorToWrite => ({
  name: entry.name,
  dtype: entry.dtype,
  shape: entry.shape,
  data: () => readRowMajor(entry),
});

/** Length and header, padded with spaces so that the data begin at a multiple of 8. */
function frame(json: string): Uint8Array {
  const text = new TextEncoder().encode(json);
  const length = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(text, 8);
  return bytes;
}

async function writeTensor(sink: ByteSink, { name, dtype, shape, data }: TensorToWrite): Promise<void> {
  const needed = elementCount(shape) * DTYPE_BYTES[dtype];
  let written = 0;
  const put = async (piece: ArrayBufferView) => {
    written += piece.byteLength;
    if (written <= needed) await sink.write(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength));
  };
  const made = typeof data === "function" ? data() : data;
  if (ArrayBuffer.isView(made)) await put(made);
  else if (Symbol.asyncIterator in made) for await (const piece of made) await put(piece);
  else await put(await made);
  if (written !== needed) throw new Error(`${name} [${shape}] takes ${needed} bytes, but ${written} came`);
}
