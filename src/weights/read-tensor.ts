import { bfloatsToFloats, halvesToFloats } from "../core/floats.ts";
import { DTYPE_BYTES, type StoredDType, type TensorEntry, type Tensors } from "./tensor-entry.ts";

/** Bytes of a tensor as stored: with `transposed`, in the order of the stored shape. */
export async function readBytes(entry: TensorEntry): Promise<Uint8Array> {
  const { source } = entry;
  if (source.kind === "computed") return source.compute();
  return source.kind === "bytes" ? source.bytes : source.file.read(source.offset, source.length);
}

/** Bytes of a tensor in row-major order of its shape, however they are stored. */
export async function readRowMajor(entry: TensorEntry): Promise<Uint8Array> {
  const bytes = await readBytes(entry);
  return entry.transposed ? transposeBytes(bytes, entry.shape, DTYPE_BYTES[entry.dtype]) : bytes;
}

/** Values of a tensor of any float type, row-major. */
export async function readFloats(entry: TensorEntry): Promise<Float32Array> {
  const { name, dtype, scale, transposed, shape } = entry;
  if (scale === undefined) return toFloats(name, dtype, await readRowMajor(entry));
  const bytes = await readBytes(entry);
  const values = dtype === "I8" ? byTable(bytes, FROM_INT8) : toFloats(name, dtype, bytes);
  const factors = await readFloats(scale);
  const row = values.length / factors.length;
  for (let k = 0, i = 0; k < factors.length; k++) {
    const factor = factors[k]!;
    for (const end = (k + 1) * row; i < end; i++) values[i]! *= factor;
  }
  return transposed ? new Float32Array(aligned(transposeBytes(new Uint8Array(values.buffer), shape, 4))) : values;
}

/** Tensors that are read side by side. */
const AT_ONCE = 64;

/** The values of many tensors, in order. For small ones: all are held together. */
export async function readManyFloats(entries: readonly TensorEntry[]): Promise<Float32Array[]> {
  const out: Float32Array[] = [];
  for (let from = 0; from < entries.length; from += AT_ONCE)
    out.push(...(await Promise.all(entries.slice(from, from + AT_ONCE).map(readFloats))));
  return out;
}

/** Values in an array of the matching type; float types that JavaScript lacks become float32. */
export type Values =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint32Array
  | Uint16Array
  | Uint8Array;

export interface TensorValues {
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  readonly values: Values;
}

/** Values of a tensor in the closest array type, row-major. */
export async function readValues(entry: TensorEntry): Promise<TensorValues> {
  const { dtype, shape } = entry;
  if (entry.scale !== undefined) return { dtype: "F32", shape, values: await readFloats(entry) };
  const bytes = await readRowMajor(entry);
  const of = <A>(Kind: { new (buffer: ArrayBuffer): A }) => new Kind(aligned(bytes));
  const integers: { readonly [K in StoredDType]?: () => Values } = {
    F64: () => of(Float64Array),
    I64: () => of(BigInt64Array),
    U64: () => of(BigUint64Array),
    I32: () => of(Int32Array),
    U32: () => of(Uint32Array),
    I16: () => of(Int16Array),
    U16: () => of(Uint16Array),
    I8: () => of(Int8Array),
    U8: () => of(Uint8Array),
    BOOL: () => of(Uint8Array),
  };
  return { dtype, shape, values: integers[dtype]?.() ?? toFloats(entry.name, dtype, bytes) };
}

/** Values of all tensors of a small file. */
export async function readAllValues(tensors: Tensors): Promise<Map<string, TensorValues>> {
  const out = new Map<string, TensorValues>();
  for (const [name, entry] of tensors) out.set(name, await readValues(entry));
  return out;
}

function toFloats(name: string, dtype: StoredDType, bytes: Uint8Array): Float32Array {
  switch (dtype) {
    case "F32":
      return new Float32Array(aligned(bytes));
    case "F16":
      return halvesToFloats(new Uint16Array(aligned(bytes)));
    case "BF16":
      return bfloatsToFloats(new Uint16Array(aligned(bytes)));
    case "F64":
      return Float32Array.from(new Float64Array(aligned(bytes)));
    case "F8_E4M3":
      return byTable(bytes, FROM_E4M3);
    case "F8_E5M2":
      return byTable(bytes, FROM_E5M2);
    default:
      throw new TypeError(`${name} holds ${dtype}, not floats`);
  }
}

/** Values of E4M3FN (arXiv 2209.05433): bias 7, no infinities, NaN only where all bits but the sign are set. */
const FROM_E4M3 = Float32Array.from({ length: 256 }, (_, bits) => {
  const sign = bits & 0x80 ? -1 : 1;
  const exponent = (bits >> 3) & 15;
  const fraction = bits & 7;
  if ((bits & 0x7f) === 0x7f) return Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -9 : (1 + fraction / 8) * 2 ** (exponent - 7));
});

/** Values of E5M2: the upper byte of a half-precision number. */
const FROM_E5M2 = halvesToFloats(Uint16Array.from({ length: 256 }, (_, bits) => bits << 8));

const FROM_INT8 = Float32Array.from({ length: 256 }, (_, bits) => (bits << 24) >> 24);

/** The value of each byte. */
function byTable(bytes: Uint8Array, table: Float32Array): Float32Array {
  const out = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) out[i] = table[bytes[i]!]!;
  return out;
}

/** The bytes in a buffer of their own, from offset 0, as typed arrays of wider elements need. */
function aligned(bytes: Uint8Array): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = bytes;
  if (buffer instanceof ArrayBuffer && byteOffset === 0 && buffer.byteLength === byteLength) return buffer;
  return new Uint8Array(bytes).buffer;
}

/** Transposes stored [b, a] to row-major [a, b]. */
function transposeBytes(bytes: Uint8Array, shape: readonly number[], size: number): Uint8Array {
  const [a, b] = shape as readonly [number, number];
  const out = new Uint8Array(bytes.length);
  for (let i = 0; i < a; i++)
    for (let j = 0; j < b; j++) for (let k = 0; k < size; k++) out[(i * b + j) * size + k] = bytes[(j * a + i) * size + k]!;
  return out;
}
