import { UserError } from "../../core/errors.ts";

/** Most bytes of a segment of a JPEG, without its marker and length. */
const MOST_IN_SEGMENT = 0xffff - 2;
const EXIF = new TextEncoder().encode("Exif\0\0");

/** Most bytes of EXIF in a JPEG, without "Exif\0\0". */
export const MOST_IN_JPEG = MOST_IN_SEGMENT - EXIF.length;

/**
 * A JPEG with EXIF as its first segment.
 * @param jpeg without EXIF
 * @throws UserError picture/long-settings
 */
export function jpegWithExif(jpeg: Uint8Array, exif: Uint8Array): Uint8Array {
  if (exif.length > MOST_IN_JPEG)
    throw new UserError(
      "picture/long-settings",
      `A JPEG holds ${MOST_IN_JPEG} bytes of settings, and these take ${exif.length}.`,
      "Write PNG or WebP, which hold texts of any length.",
    );
  const length = 2 + EXIF.length + exif.length;
  const out = new Uint8Array(jpeg.length + 2 + length);
  out.set(jpeg.subarray(0, 2)); // start of image
  out.set([0xff, 0xe1, length >> 8, length & 0xff], 2);
  out.set(EXIF, 6);
  out.set(exif, 6 + EXIF.length);
  out.set(jpeg.subarray(2), 4 + length);
  return out;
}

/** Flag of the extended header that says that there is EXIF. */
const HAS_EXIF = 0x08;

/**
 * A WebP in the extended format, with EXIF behind its pixels.
 * @param webp in the simple format: one picture without transparency
 * @see RFC 9649, sections 2.5 to 2.7
 */
export function webpWithExif(
  webp: Uint8Array,
  { width, height }: { width: number; height: number },
  exif: Uint8Array,
): Uint8Array {
  const header = new Uint8Array(10);
  header[0] = HAS_EXIF;
  const view = new DataView(header.buffer);
  for (const [at, side] of [
    [4, width - 1],
    [7, height - 1],
  ] as const) {
    view.setUint16(at, side & 0xffff, true);
    view.setUint8(at + 2, side >> 16);
  }
  const pixels = webp.subarray(12);
  const body = [chunk("VP8X", header), pixels, chunk("EXIF", exif)];
  const out = new Uint8Array(12 + body.reduce((sum, { length }) => sum + length, 0));
  out.set(new TextEncoder().encode("RIFF\0\0\0\0WEBP"));
  new DataView(out.buffer).setUint32(4, out.length - 8, true);
  let at = 12;
  for (const part of body) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(8 + data.length + (data.length % 2));
  out.set(new TextEncoder().encode(type));
  new DataView(out.buffer).setUint32(4, data.length, true);
  out.set(data, 8);
  return out;
}
