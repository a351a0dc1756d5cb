const LATIN = new TextDecoder("latin1");

/** A UserComment's bytes: "UNICODE", and UTF-16 with the larger byte first, as A1111's readers (piexif) expect. */
export function userComment(text: string): Uint8Array {
  const bytes = new Uint8Array(8 + 2 * text.length);
  bytes.set(new TextEncoder().encode("UNICODE\0"));
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < text.length; i++) view.setUint16(8 + 2 * i, text.charCodeAt(i));
  return bytes;
}

/**
 * The text of a UserComment, however it was written: with the name of its encoding before it, or without, as Pillow writes a text.
 * @param littleEndian the order of bytes of the EXIF around it
 */
export function textOfUserComment(data: Uint8Array, littleEndian: boolean): string {
  const encoding = LATIN.decode(data.subarray(0, 8));
  const rest = data.subarray(8);
  if (encoding.startsWith("UNICODE")) return withoutEnd(utf16(rest, littleEndian));
  return withoutEnd(utf8(/^(ASCII|JIS)?\0+$/.test(encoding) ? rest : data));
}

/**
 * UTF-16 in the order that its mark says; else that of the EXIF, unless the zeros of Latin letters say otherwise: piexif has the larger byte first
 * whatever the EXIF's order.
 */
function utf16(bytes: Uint8Array, littleEndian: boolean): string {
  const [a, b] = bytes;
  if (a === 0xfe && b === 0xff) return decode16(bytes.subarray(2), false);
  if (a === 0xff && b === 0xfe) return decode16(bytes.subarray(2), true);
  let [first, second] = [0, 0];
  for (let i = 0; i + 1 < bytes.length; i += 2) {
    first += bytes[i] === 0 ? 1 : 0;
    second += bytes[i + 1] === 0 ? 1 : 0;
  }
  return decode16(bytes, littleEndian ? second >= first : first === 0 && second > 0);
}

function decode16(bytes: Uint8Array, littleEndian: boolean): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: string[] = [];
  for (let i = 0; i + 1 < bytes.length; i += 2) parts.push(String.fromCharCode(view.getUint16(i, littleEndian)));
  return parts.join("");
}

/** UTF-8, or Latin-1 where it is none. */
export function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return LATIN.decode(bytes);
  }
}

const withoutEnd = (text: string): string => text.replace(/\0+$/, "");
