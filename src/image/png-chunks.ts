import { crc32 } from "../core/crc32.ts";
import { UserError } from "../core/errors.ts";

/** A chunk of a PNG file: its type in four letters, and its data. */
export interface PngChunk {
  readonly type: string;
  readonly data: Uint8Array;
}

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/**
 * The chunks of a PNG file, in order; their checksums are verified.
 * @throws UserError png/unreadable
 * @see PNG specification (W3C, third edition), section 5
 */
export function readPngChunks(png: Uint8Array): PngChunk[] {
  if (!SIGNATURE.every((byte, i) => png[i] === byte)) throw unreadable("it does not begin as a PNG file does");
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const chunks: PngChunk[] = [];
  for (let at = SIGNATURE.length; at < png.length; ) {
    const end = at + 12 <= png.length ? at + 12 + view.getUint32(at) : Number.POSITIVE_INFINITY;
    if (end > png.length) throw unreadable("it ends in the middle of a chunk");
    const type = String.fromCharCode(...png.subarray(at + 4, at + 8));
    if (view.getUint32(end - 4) !== crc32(png.subarray(at + 4, end - 4)))
      throw unreadable(`its chunk ${type} has a wrong checksum`);
    chunks.push({ type, data: png.subarray(at + 8, end - 4) });
    if (type === "IEND") return chunks;
    at = end;
  }
  throw unreadable("its last chunk is missing");
}

export function writePngChunks(chunks: readonly PngChunk[]): Uint8Array {
  const png = new Uint8Array(chunks.reduce((sum, { data }) => sum + 12 + data.length, SIGNATURE.length));
  const view = new DataView(png.buffer);
  png.set(SIGNATURE);
  let at = SIGNATURE.length;
  for (const { type, data } of chunks) {
    view.setUint32(at, data.length);
    for (let i = 0; i < 4; i++) png[at + 4 + i] = type.charCodeAt(i);
    png.set(data, at + 8);
    const end = at + 8 + data.length;
    view.setUint32(end, crc32(png.subarray(at + 4, end)));
    at = end + 4;
  }
  return png;
}

export const unreadable = (why: string, cause?: unknown): UserError =>
  new UserError("png/unreadable", `The PNG file cannot be read: ${why}.`, "Take the original file, or copy it again.", {
    cause,
  });
