// Numbers in 8 bits for tests, made from their definitions.

import { readFloats, readRowMajor } from "../weights/read-tensor.ts";
import { DTYPE_BYTES, elementCount, type StoredDType, type TensorEntry, type Tensors } from "../weights/tensor-entry.ts";

type Small = "F8_E4M3" | "F8_E5M2";

/** Every finite value of a format of 8-bit floats that is not negative, by its bits. */
const valuesOf = (dtype: Small): number[] => {
  const [fraction, bias, count] = dtype === "F8_E4M3" ? [3, 7, 0x7f] : [2, 15, 0x7c];
  return Array.from({ length: count }, (_, bits) => {
    const exponent = bits >> fraction;
    const part = (bits & ((1 << fraction) - 1)) / 2 ** fraction;
    return exponent === 0 ? part * 2 ** (1 - bias) : (1 + part) * 2 ** (exponent - bias);
  });
};
const VALUES: Readonly<Record<Small, readonly number[]>> = { F8_E4M3: valuesOf("F8_E4M3"), F8_E5M2: valuesOf("F8_E5M2") };

/** The bits of the nearest value, ties to even, as torch rounds; what is larger than the largest becomes the largest, as quantising programs clamp. */
export function to8Bits(value: number, dtype: Small): number {
  const all = VALUES[dtype];
  const size = Math.abs(value);
  let [low, high] = [0, all.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (all[middle]! <= size) low = middle;
    else high = middle;
  }
  const [down, up] = [size - all[low]!, all[high]! - size];
  const bits = down < up || (down === up && low % 2 === 0) ? low : high;
  return bits | (value < 0 || Object.is(value, -0) ? 0x80 : 0);
}

export interface Made {
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** A tensor in 8-bit floats of values each of which is divided by `scale`. */
export const small = (shape: readonly number[], values: Float32Array, dtype: Small, scale = 1): Made => ({
  dtype,
  shape,
  data: Uint8Array.from(values, (x) => to8Bits(x / scale, dtype)),
});

export const single = (values: readonly number[], shape: readonly number[] = []): Made => ({
  dtype: "F32",
  shape,
  data: new Uint8Array(Float32Array.from(values).buffer),
});

/** The values of a tensor. */
export const valuesIn = ({ dtype, shape, data }: Made): Promise<Float32Array> =>
  readFloats({ name: "made", dtype, shape, source: { kind: "bytes", bytes: data } });

/** A tensor as it is stored. */
export const asMade = async (entry: TensorEntry): Promise<Made> => ({
  dtype: entry.dtype,
  shape: entry.shape,
  data: await readRowMajor(entry),
});

/** All tensors of a small file. */
export async function allMade(tensors: Tensors): Promise<Map<string, Made>> {
  const out = new Map<string, Made>();
  for (const entry of tensors.values()) out.set(entry.name, await asMade(entry));
  return out;
}

/** A safetensors file, as bytes. */
export function safetensorsOf(tensors: ReadonlyMap<string, Made>, metadata?: Readonly<Record<string, string>>): Uint8Array {
  const header: Record<string, unknown> = metadata === undefined ? {} : { __metadata__: metadata };
  let end = 0;
  for (const [name, { dtype, shape, data }] of tensors) {
    if (data.length !== elementCount(shape) * DTYPE_BYTES[dtype]) throw new Error(`${name}: ${data.length} bytes for [${shape}]`);
    header[name] = { dtype, shape, data_offsets: [end, end + data.length] };
    end += data.length;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true);
  return Buffer.concat([length, text, ...[...tensors.values()].map(({ data }) => data)]);
}
