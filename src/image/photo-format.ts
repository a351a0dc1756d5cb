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

/** What a file is that `decodePhoto` cannot read, with its article, if its first bytes show that. */
export function foreignFormat(bytes: Uint8Array): string | undefined {
  const head = String.fromCharCode(...bytes.subarray(0, 12));
  if (head.startsWith("\xff\x0a") || head === "\0\0\0\x0cJXL \r\n\x87\n") return "a JPEG XL picture";
  if (head === "\0\0\0\x0cjP  \r\n\x87\n" || head.startsWith("\xff\x4f\xff\x51")) return "a JPEG 2000 picture";
  if (/^ftyp(isom|iso\d|mp4\d|qt {2}|M4V |3gp\d|avc1)$/.test(head.slice(4))) return "a film";
  if (head.slice(4, 11) === "ftypcrx" || head.startsWith("FUJIFILMCCD") || /^IIR[OS]/.test(head)) return "a camera's raw file";
  if (head.startsWith("BM")) return "a BMP picture";
  if (head.startsWith("8BPS")) return "a Photoshop file";
  if (head.startsWith("%PDF")) return "a PDF document";
  return undefined;
}
