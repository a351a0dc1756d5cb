import { crc32 } from "../core/crc32.ts";
import { type ErrorCode, messageOf, UserError } from "../core/errors.ts";
import type { ByteSource } from "./byte-source.ts";

/** A member of a zip archive and where its bytes are in the file. */
export interface ZipEntry {
  readonly name: string;
  readonly stored: boolean;
  /** Offset of the data itself, after the local header. */
  readonly offset: number;
  readonly compressedSize: number;
  readonly size: number;
  readonly crc32: number;
}

const MAX_DIRECTORY = 2 ** 28; // bytes
const AGAIN = "The file is incomplete or damaged: download or copy it again.";

/**
 * Lists the members of a zip archive by name; zip64 included. A library would unpack members, but here most are used in
 * place, so it is checked that each lies where it says, inside the file and apart from the others.
 *
 * @throws UserError zip/truncated, zip/corrupt, zip/overlap, zip/duplicate-name, zip/unsupported
 * @see APPNOTE.TXT 6.3.10, sections 4.3 to 4.5
 */
export async function readZipDirectory(file: ByteSource): Promise<ReadonlyMap<string, ZipEntry>> {
  const fail = failure(file.id);
  const { offset: directory, size, count } = await findDirectory(file, fail);
  if (size > MAX_DIRECTORY || count * 46 > size)
    fail("zip/corrupt", `its directory of ${count} members in ${size} bytes is implausible.`);
  if (directory + size > file.size) fail("zip/truncated", "its directory lies beyond its end.");
  const bytes = await file.read(directory, size);
  const view = viewOf(bytes);

  const found: { entry: Omit<ZipEntry, "offset">; header: number }[] = [];
  for (let i = 0, at = 0; i < count; i++) {
    if (at + 46 > size || view.getUint32(at, true) !== 0x02014b50)
      fail("zip/corrupt", `member ${i} of its directory is unreadable.`);
    const flags = view.getUint16(at + 8, true);
    const method = view.getUint16(at + 10, true);
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) => view.getUint16(at + field, true)) as [
      number,
      number,
      number,
    ];
    const end = at + 46 + nameLength + extraLength + commentLength;
    if (end > size) fail("zip/corrupt", `member ${i} of its directory is cut off.`);
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    const [fullSize, compressedSize, header] = wideSizes(view, at, at + 46 + nameLength, extraLength, fail);
    if ((flags & 1) !== 0) fail("zip/unsupported", `"${name}" is encrypted.`, "Unpack it with its password first.");
    if (method !== 0 && method !== 8)
      fail("zip/unsupported", `"${name}" is packed by method ${method}.`, "Pack it again, without compression.");
    if (method === 0 && fullSize !== compressedSize) fail("zip/corrupt", `"${name}" is stored, but its two sizes differ.`);
    found.push({
      entry: { name, stored: method === 0, compressedSize, size: fullSize, crc32: view.getUint32(at + 16, true) },
      header,
    });
    at = end;
  }

  const entries = new Map<string, ZipEntry>();
  let free = 0;
  for (const { entry, header } of found.sort((a, b) => a.header - b.header)) {
    if (header < free) fail("zip/overlap", `"${entry.name}" overlaps the member before it.`);
    if (header + 30 > directory) fail("zip/corrupt", `"${entry.name}" lies outside the data.`);
    const local = viewOf(await file.read(header, 30));
    if (local.getUint32(0, true) !== 0x04034b50) fail("zip/corrupt", `"${entry.name}" is not where its directory says.`);
    const offset = header + 30 + local.getUint16(26, true) + local.getUint16(28, true);
    free = offset + entry.compressedSize;
    if (free > directory) fail("zip/corrupt", `"${entry.name}" reaches beyond the data.`);
    if (entries.has(entry.name)) fail("zip/duplicate-name", `the name "${entry.name}" occurs twice.`);
    entries.set(entry.name, { ...entry, offset });
  }
  return entries;
}

/**
 * Bytes of a member, unpacked and verified by their checksum.
 * @throws UserError zip/corrupt
 */
export async function readZipEntry(file: ByteSource, entry: ZipEntry): Promise<Uint8Array> {
  const fail = failure(file.id);
  const packed = await file.read(entry.offset, entry.compressedSize);
  const bytes = entry.stored ? packed : await inflate(packed, entry, fail);
  if (bytes.length !== entry.size || crc32(bytes) !== entry.crc32)
    fail("zip/corrupt", `"${entry.name}" does not have the checksum that its directory gives.`);
  return bytes;
}

async function inflate(packed: Uint8Array, entry: ZipEntry, fail: Fail): Promise<Uint8Array> {
  try {
    const bytes = new Uint8Array(entry.size);
    let filled = 0;
    const unpacking = new DecompressionStream("deflate-raw");
    const reader = new Blob([packed as Uint8Array<ArrayBuffer>]).stream().pipeThrough(unpacking).getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      if (filled + next.value.length > entry.size) throw new Error(`it has more than the ${entry.size} bytes that it claims`);
      bytes.set(next.value, filled);
      filled += next.value.length;
    }
    return bytes.subarray(0, filled);
  } catch (error) {
    return fail("zip/corrupt", `"${entry.name}" cannot be unpacked (${messageOf(error)}).`);
  }
}

/** Where the central directory is: from the record at the end of the file. */
async function findDirectory(file: ByteSource, fail: Fail): Promise<{ offset: number; size: number; count: number }> {
  const length = Math.min(file.size, 22 + 65535 + 20); // with the longest comment, and the locator of zip64 before it
  const tail = await file.read(file.size - length, length);
  const view = viewOf(tail);
  let at = length - 22;
  while (at >= 0 && !(view.getUint32(at, true) === 0x06054b50 && at + 22 + view.getUint16(at + 20, true) === length)) at--;
  if (at < 0) return fail("zip/truncated", "this zip archive has no end.");
  const record = {
    count: view.getUint16(at + 10, true),
    size: view.getUint32(at + 12, true),
    offset: view.getUint32(at + 16, true),
  };
  if (record.count !== 0xffff && record.size !== 0xffffffff && record.offset !== 0xffffffff) return record;

  if (at < 20 || view.getUint32(at - 20, true) !== 0x07064b50) return fail("zip/corrupt", "its zip64 record is missing.");
  const place = safe(view.getBigUint64(at - 12, true), fail);
  if (place + 56 > file.size) fail("zip/corrupt", "its zip64 record lies beyond its end.");
  const wide = viewOf(await file.read(place, 56));
  if (wide.getUint32(0, true) !== 0x06064b50) fail("zip/corrupt", "its zip64 record is unreadable.");
  const [count, size, offset] = [32, 40, 48].map((field) => safe(wide.getBigUint64(field, true), fail)) as [
    number,
    number,
    number,
  ];
  return { count, size, offset };
}

/** Size, packed size and offset of a member: those too large for 32 bits are in the extra field, in this order. */
function wideSizes(view: DataView, at: number, extra: number, extraLength: number, fail: Fail): [number, number, number] {
  const sizes = [24, 20, 42].map((field) => view.getUint32(at + field, true)) as [number, number, number];
  if (!sizes.includes(0xffffffff)) return sizes;
  for (let p = extra; p + 4 <= extra + extraLength; p += 4 + view.getUint16(p + 2, true)) {
    if (view.getUint16(p, true) !== 1) continue;
    let next = p + 4;
    const end = next + view.getUint16(p + 2, true);
    if (end > extra + extraLength) break;
    return sizes.map((size) => {
      if (size !== 0xffffffff) return size;
      if (next + 8 > end) return fail("zip/corrupt", "a zip64 field is cut off.");
      next += 8;
      return safe(view.getBigUint64(next - 8, true), fail);
    }) as [number, number, number];
  }
  return fail("zip/corrupt", "a zip64 field is missing.");
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

type Fail = (code: ErrorCode, problem: string, remedy?: string) => never;

const failure =
  (path: string): Fail =>
  (code, problem, remedy = AGAIN) => {
    throw new UserError(code, `${path}: ${problem}`, remedy);
  };

const safe = (value: bigint, fail: Fail): number =>
  value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : fail("zip/corrupt", `the size ${value} is implausible.`);
