import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { messageOf, UserError } from "../core/errors.ts";
import { choicesIn, type Wildcards } from "./wildcards.ts";

/**
 * Wildcards of a folder: `name.txt`, also in folders below, by their path (`__colours/warm__`) or their name alone.
 * @throws UserError wildcards/no-folder, when one is asked for
 */
export function wildcardsIn(folder: string): Wildcards {
  const absolute = resolve(folder);
  let files: Promise<string[]> | undefined;
  const list = async (): Promise<string[]> => {
    try {
      return (await readdir(absolute, { recursive: true })).filter((name) => /\.txt$/i.test(name)).toSorted();
    } catch (error) {
      throw new UserError(
        "wildcards/no-folder",
        `${absolute}, the folder of wildcards, cannot be read: ${messageOf(error)}.`,
        "Give a folder of text files with --wildcards (wildcards in code).",
        { cause: error },
      );
    }
  };
  return async (name) => {
    files ??= list();
    const wanted = `${name.toLowerCase()}.txt`;
    const there = (await files).map((file) => ({ file, path: file.replaceAll("\\", "/").toLowerCase() }));
    const found = there.find(({ path }) => path === wanted) ?? there.find(({ path }) => path.endsWith(`/${wanted}`));
    return found && choicesIn(await readText(join(absolute, found.file)));
  };
}

/** Text as UTF-8, or UTF-16 where a byte order mark says so. */
async function readText(path: string): Promise<string> {
  const bytes = await readFile(path);
  const wide =
    bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : bytes[0] === 0xfe && bytes[1] === 0xff ? "utf-16be" : "utf-8";
  return new TextDecoder(wide).decode(bytes);
}
