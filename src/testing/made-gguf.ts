// GGUF files for tests, made byte by byte from the format's description, including those that no honest program writes.

import { floatToHalf, halfToFloat } from "../core/floats.ts";

/** A tensor by its number of format; the shape is as PyTorch has it. */
export interface GgufTensor {
  readonly name: string;
  readonly type: number;
  readonly shape: readonly (number | bigint)[];
  readonly data: Uint8Array;
  /** False place, in bytes from the beginning of the data. */
  readonly offset?: number;
}

export type GgufValue = string | number | boolean | readonly number[] | readonly string[];

export interface GgufOptions {
  readonly values?: Readonly<Record<string, GgufValue>>;
  readonly version?: number;
  readonly alignment?: number;
  /** False counts. */
  readonly claim?: { readonly tensors?: bigint; readonly values?: bigint };
}

const u32 = (n: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(n);
  return bytes;
};
const u64 = (n: number | bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(n));
  return bytes;
};
const text = (value: string): Buffer => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
const i32 = (n: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(n);
  return bytes;
};

/** Type and bytes of a value: texts, true or false, whole numbers as uint32, others as float32, lists of int32 or texts. */
function encoded(value: GgufValue): Buffer {
  if (typeof value === "string") return Buffer.concat([u32(8), text(value)]);
  if (typeof value === "boolean") return Buffer.concat([u32(7), Buffer.of(Number(value))]);
  if (typeof value !== "number") {
    const isText = typeof value[0] === "string";
    return Buffer.concat([
      u32(9),
      u32(isText ? 8 : 5),
      u64(value.length),
      ...value.map((one) => (typeof one === "string" ? text(one) : i32(one))),
    ]);
  }
  if (Number.isInteger(value)) return Buffer.concat([u32(4), u32(value)]);
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([u32(6), bytes]);
}

/** A GGUF file, as bytes. */
export function makeGguf(tensors: readonly GgufTensor[], options: GgufOptions = {}): Buffer {
  const { values = {}, version = 3, alignment = 32, claim = {} } = options;
  const padded = (data: Uint8Array): Buffer =>
    Buffer.concat([data, Buffer.alloc((alignment - (data.length % alignment)) % alignment)]);
  const infos: Buffer[] = [];
  const datas: Buffer[] = [];
  let end = 0;
  for (const { name, type, shape, data, offset } of tensors) {
    infos.push(text(name), u32(shape.length), ...shape.toReversed().map(u64), u32(type), u64(offset ?? end));
    const whole = padded(data);
    datas.push(whole);
    end += whole.length;
  }
  const entries = Object.entries(values);
  const header = Buffer.concat([
    Buffer.from("GGUF"),
    u32(version),
    u64(claim.tensors ?? tensors.length),
    u64(claim.values ?? entries.length),
    ...entries.flatMap(([key, value]) => [text(key), encoded(value)]),
    ...infos,
  ]);
  return Buffer.concat([padded(header), ...datas]);
}

/** Numbers in blocks: their bytes, and what they are worth. */
export interface InBlocks {
  readonly data: Uint8Array;
  readonly values: Float32Array;
}

/** Values as Q8_0 (32 numbers: a half-precision scale and 8 bits each) or Q4_1 (scale and minimum, 4 bits each). */
export function inBlocks(values: Float32Array, format: "Q8_0" | "Q4_1"): InBlocks {
  const worth = new Float32Array(values.length);
  const data: Buffer[] = [];
  for (let from = 0; from < values.length; from += 32) {
    const block = values.subarray(from, from + 32);
    if (format === "Q8_0") {
      const bytes = Buffer.alloc(34);
      const scale = toHalf(bytes, 0, Math.max(...block.map(Math.abs)) / 127);
      block.forEach((x, i) => {
        const q = scale === 0 ? 0 : Math.max(-127, Math.min(127, Math.round(x / scale)));
        bytes.writeInt8(q, 2 + i);
        worth[from + i] = scale * q;
      });
      data.push(bytes);
      continue;
    }
    const bytes = Buffer.alloc(20);
    const least = toHalf(bytes, 2, Math.min(...block));
    const scale = toHalf(bytes, 0, (Math.max(...block) - least) / 15);
    block.forEach((x, i) => {
      const q = scale === 0 ? 0 : Math.max(0, Math.min(15, Math.round((x - least) / scale)));
      bytes[4 + (i % 16)]! |= q << (i < 16 ? 0 : 4);
      worth[from + i] = scale * q + least;
    });
    data.push(bytes);
  }
  return { data: Buffer.concat(data), values: worth };
}

/** Writes a half-precision number. @returns the number as written */
function toHalf(bytes: Buffer, at: number, value: number): number {
  const bits = floatToHalf(value);
  bytes.writeUInt16LE(bits, at);
  return halfToFloat(bits);
}
