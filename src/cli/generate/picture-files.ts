import { access, constants, readdir, rmdir, stat } from "node:fs/promises";
import { dirname, extname, join, resolve } from "node:path";
import { asDiskError, writeFileAtomically, writeUnderFreeName } from "../../core/atomic-file.node.ts";
import { UserError } from "../../core/errors.ts";
import { makeFolder } from "../../core/make-folder.node.ts";
import type { TextStream } from "../terminal/io.ts";

/** The path that stands for stdout. */
export const STDOUT = "-";

/** Destination of one run's pictures. */
export interface PictureFiles {
  /** Writes the next picture and returns its path, or {@link STDOUT}. */
  write(png: Uint8Array): Promise<string>;
  /** Writes a preview of a picture, replacing the last one. */
  writePreview(index: number, png: Uint8Array): Promise<void>;
  /** Removes a folder that was created for this run and is still empty. */
  tidy(): Promise<void>;
}

/**
 * Makes sure that pictures can be written before the work begins. In a folder they are image_0.png, image_1.png …,
 * continuing after the highest number in it; a single named file is replaced. A picture takes its number when it is written, so that
 * several runs may share a folder.
 *
 * @param out a folder, a path that ends in .png, or {@link STDOUT} for one picture
 * @throws UserError out/terminal, out/not-a-folder, out/is-folder, disk/denied and others of makeFolder
 */
export async function openPictureFiles(out: string, stdout: TextStream): Promise<PictureFiles> {
  if (out === STDOUT) return onStdout(stdout);
  const path = resolve(out);
  const single = extname(path).toLowerCase() === ".png";
  const folder = single ? dirname(path) : path;
  if (single && (await stat(path).catch(() => undefined))?.isDirectory())
    throw new UserError("out/is-folder", `${path} is a folder.`, "Name a file, or a folder whose name does not end in .png.");
  const made = await makeFolder(folder).catch((error: unknown) => {
    if (!(error instanceof UserError) || error.code !== "disk/not-a-folder") throw error;
    throw new UserError("out/not-a-folder", error.message, "Choose another folder with --out.", { cause: error });
  });
  await access(folder, constants.W_OK).catch((error: unknown) => {
    throw asDiskError(error, folder);
  });
  let next = single ? 0 : await firstFree(folder);
  const inFolder = async <T>(write: () => Promise<T>): Promise<T> => {
    await makeFolder(folder); // another run that created it and wrote nothing may have removed it
    return write();
  };
  const replace = (name: string, png: Uint8Array) => inFolder(() => writeFileAtomically(name, (sink) => sink.write(png)));
  return {
    async write(png) {
      if (single) {
        await replace(path, png);
        return path;
      }
      const from = next;
      const numbered = (attempt: number): string => {
        next = from + attempt + 1;
        return join(folder, `image_${from + attempt}.png`);
      };
      return inFolder(() => writeUnderFreeName(numbered, (sink) => sink.write(png)));
    },
    writePreview: (index, png) => replace(join(folder, `preview_${index}.png`), png),
    async tidy() {
      if (made === undefined) return;
      for (let each = folder; each.length >= made.length; each = dirname(each))
        if (
          !(await rmdir(each).then(
            () => true,
            () => false,
          ))
        )
          return;
    },
  };
}

function onStdout(stdout: TextStream): PictureFiles {
  if (stdout.isTTY)
    throw new UserError(
      "out/terminal",
      "--out - writes a PNG to stdout, which is a terminal.",
      "Redirect it to a file or pipe it to a program: … --out - > picture.png",
    );
  return {
    async write(png) {
      stdout.write(png);
      return STDOUT;
    },
    writePreview: () => Promise.reject(new TypeError("stdout takes one picture")),
    tidy: async () => {},
  };
}

async function firstFree(folder: string): Promise<number> {
  const numbers = (await readdir(folder)).map((name) => Number(/^image_(\d+)\.png$/i.exec(name)?.[1] ?? -1));
  return Math.max(-1, ...numbers) + 1;
}
