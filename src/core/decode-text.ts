import { UserError } from "./errors.ts";

/**
 * A text file as text, whatever editor wrote it: UTF-8 or UTF-16, by its byte order mark, which is no part of the text. UTF-16 without a mark is
 * known by the zero beside its first character.
 * @param name of the file, for errors
 * @throws UserError text/encoding
 */
export function decodeText(bytes: Uint8Array, name: string): string {
  const encoding = encodingOf(bytes);
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new UserError(
      "text/encoding",
      `${name} is not text in ${encoding.toUpperCase()}.`,
      "Save it as UTF-8 in a text editor; if it is no text file, give another.",
      { cause },
    );
  }
}

function encodingOf([first, second]: Uint8Array): "utf-8" | "utf-16le" | "utf-16be" {
  if ((first === 0xff && second === 0xfe) || (first !== 0 && second === 0)) return "utf-16le";
  if ((first === 0xfe && second === 0xff) || (first === 0 && second !== 0 && second !== undefined)) return "utf-16be";
  return "utf-8";
}
