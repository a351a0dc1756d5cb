import { readFile } from "node:fs/promises";
import { decodeText } from "./decode-text.ts";

/**
 * The text of a file that a user may have written; see {@link decodeText}.
 * @throws UserError text/encoding, and the errors of readFile
 */
export const readText = async (path: string): Promise<string> => decodeText(await readFile(path), path);
