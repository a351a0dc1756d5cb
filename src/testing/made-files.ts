// Files for tests, made byte by byte, including those that no honest program writes.
import { crc32, deflateRawSync } from "node:zlib";

export interface MadeMember {
  readonly name: string;
  readonly data: Uint8Array;
  readonly deflate?: boolean;
  /** False values for the central directory. */
  readonly claim?: { size?: number; compressedSize?: number; offset?: number; crc32?: number; method?: number; flags?: number };
}

/** A zip archive; with `wide` all sizes and places are in zip64 fields. */
export function makeZip(members: readonly MadeMember[], { wide = false } = {}): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, data, deflate, claim = {} } of members) {
    const packed = deflate ? deflateRawSync(data) : data;
    const truth = {
      size: data.length,
      compressedSize: packed.length,
      offset,
      crc32: crc32(data),
      method: deflate ? 8 : 0,
      flags: 0,
    };
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(truth.method, 8);
    local.writeUInt16LE(name.length, 26);
    local.writeUInt16LE(3, 28); // some padding, as torch has it
    parts.push(local, Buffer.from(name), Buffer.alloc(3), Buffer.from(packed));
    offset += 30 + name.length + 3 + packed.length;

    const said = { ...truth, ...claim };
    const extra = Buffer.alloc(wide ? 28 : 0);
    if (wide) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      [said.size, said.compressedSize, said.offset].forEach((value, i) => void extra.writeBigUInt64LE(BigInt(value), 4 + 8 * i));
    }
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(said.flags, 8);
    central.writeUInt16LE(said.method, 10);
    central.writeUInt32LE(said.crc32, 16);
    central.writeUInt32LE(wide ? 0xffffffff : said.compressedSize, 20);
    central.writeUInt32LE(wide ? 0xffffffff : said.size, 24);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt16LE(extra.length, 30);
    central.writeUInt32LE(wide ? 0xffffffff : said.offset, 42);
    directory.push(central, Buffer.from(name), extra);
  }
  const table = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(wide ? 0xffff : members.length, 10);
  end.writeUInt32LE(wide ? 0xffffffff : table.length, 12);
  end.writeUInt32LE(wide ? 0xffffffff : offset, 16);
  const wideEnd = Buffer.alloc(wide ? 76 : 0);
  if (wide) {
    wideEnd.writeUInt32LE(0x06064b50, 0);
    [members.length, table.length, offset].forEach((value, i) => void wideEnd.writeBigUInt64LE(BigInt(value), 32 + 8 * i));
    wideEnd.writeUInt32LE(0x07064b50, 56);
    wideEnd.writeBigUInt64LE(BigInt(offset + table.length), 64);
  }
  return Buffer.concat([...parts, table, wideEnd, end]);
}

/** A pickle from parts: texts are opcodes and their lines, numbers are bytes, `{ text }` is a unicode string. */
export const makePickle = (...parts: (string | number | { readonly text: string } | { readonly int: number })[]): Buffer =>
  Buffer.concat(
    parts.map((part) => {
      if (typeof part === "number") return Buffer.from([part]);
      if (typeof part === "string") return Buffer.from(part, "latin1");
      const length = Buffer.alloc(5, "text" in part ? "X" : "J");
      if ("int" in part) {
        length.writeInt32LE(part.int, 1);
        return length;
      }
      length.writeUInt32LE(Buffer.byteLength(part.text), 1);
      return Buffer.concat([length, Buffer.from(part.text)]);
    }),
  );

/** The opcodes that torch.save writes for a tensor, to put into a pickle as a value. */
export const pickledTensor = (
  key: string,
  count: number,
  shape: readonly number[],
  stride: readonly number[],
  offset = 0,
  type = "FloatStorage",
) => {
  const tuple = (values: readonly number[]) => ["(", ...values.map((int) => ({ int })), "t"];
  const storage = ["((", { text: "storage" }, `ctorch\n${type}\n`, { text: key }, { text: "cpu" }, { int: count }, "tQ"];
  return [
    "ctorch._utils\n_rebuild_tensor_v2\n",
    ...storage,
    { int: offset },
    ...tuple(shape),
    ...tuple(stride),
    "\x89ccollections\nOrderedDict\n)RtR",
  ];
};

/** A torch file of a pickle and storages. */
export const makeTorchZip = (pickle: Uint8Array, storages: Readonly<Record<string, Uint8Array>>, deflate = false): Buffer =>
  makeZip([
    { name: "archive/data.pkl", data: pickle, deflate },
    { name: "archive/byteorder", data: Buffer.from("little") },
    ...Object.entries(storages).map(([key, data]) => ({ name: `archive/data/${key}`, data, deflate })),
  ]);
