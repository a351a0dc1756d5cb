export type PhotoFormat = "JPEG" | "PNG" | "WebP" | "GIF" | "TIFF" | "AVIF or HEIC" | "BMP";

/** The format that a file's first bytes show, or undefined if `decodePhoto` cannot read it. */
export function photoFormat(bytes: Uint8Array): PhotoFormat | undefined {
  const head = String.fromCharCode(...bytes.subarray(0, 12));
  if (head.startsWith("\xff\xd8\xff")) return "JPEG";
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return "PNG";
  if (head.startsWith("RIFF") && head.endsWith("WEBP")) return "WebP";
  if (/^GIF8[79]a/.test(head)) return "GIF";
  if (["II*\0", "MM\0*", "II+\0", "MM\0+"].includes(head.slice(0, 4))) return "TIFF";
  if (/^ftyp(avif|avis|heic|heix|heim|heis|hevc|hevx|mif1|msf1)$/.test(head.slice(4))) return "AVIF or HEIC";
  if (head.startsWith("BM") && bytes.length >= 18 && bytes[15] === 0 && bytes[16] === 0 && bytes[17] === 0) return "BMP";
  return undefined;
}
