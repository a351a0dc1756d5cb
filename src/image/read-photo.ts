import { decodeHeic } from "./decode-heic.ts";
import { type DecodeOptions, decodePhoto } from "./decode-photo.ts";
import type { Rgb8 } from "./rgb8.ts";

/**
 * Decodes a photo as people have it: what `decodePhoto` reads, and HEIC where libheif-js is installed.
 * @throws UserError those of `decodePhoto`
 */
export const readPhoto = (input: string | Uint8Array | Blob, options: Omit<DecodeOptions, "heic"> = {}): Promise<Rgb8> =>
  decodePhoto(input, { ...options, heic: decodeHeic });
