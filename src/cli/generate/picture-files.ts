import { access, constants, readdir, rmdir, stat } from "node:fs/promises";
import { dirname, extname, join, resolve } from "node:path";
import { asDiskError, writeFileAtomically, writeUnderFreeName } from "../../core/atomic-file.node.ts";
import { UserError } from "../../core/errors.ts";
import { makeFolder } from "../../core/make-folder.node.ts";
import type { PictureFormat } from "../../image/picture-format.ts";
import type { TextStream } from "../terminal/io.ts";

/** The path that stands for stdout. */
export const STDOUT = "-";

/** Format that the end of a file's name stands for; undefined for a name that is a folder's. */
export function formatOfName(path: string): PictureFormat | undefined {
  const [, end] = /\.(png|jpe?g|webp)$/i.exec(path) ?? [];
  if (end === undefined) return undefined;
  return /^j/i.test(end) ? "jpeg" : (end.toLowerCase() as PictureFormat);
}

/** How names of new files end. */
const ENDINGS: Readonly<Record<PictureFormat, string>> = { png: "png", jpeg: "jpg", webp: "webp" };

/** Destination of one run's pictures. */
export interface PictureFiles {
  /** Writes the next picture and returns its path, or {@link STDOUT}. */
  write(picture: Uint8Array): Promise<string>;
  /** Writes a preview of a picture, replacing the last one. */
  writePreview(index: number, png: Uint8Array): Promise<void>;
  /** Removes a folder that was created for this run and is still empty. */
  tidy(): Promise<void>;
}

/**
 * Makes sure that pictures can be written before the work begins. In a folder they are image_0.png, image_1.png …,
 * continuing after the highest number in it, of whatever format; a single named file is replaced. A picture takes its number when it is written, so that
 * several runs may share a folder.
 *
 * @param out a folder, a path that ends as pictures of the format do, or {@link STDOUT} for one picture
 * @throws UserError out/terminal, out/not-a-folder, out/is-folder, disk/denied and others of makeFolder
 */
export async function openPictureFiles(out: string, stdout: TextStream, format: PictureFormat = "png"): Promise<PictureFiles> {
  if (out === STDOUT) return onStdout(stdout, format);
  const path = resolve(out);
  const single = formatOfName(path) === format;
  const folder = single ? dirname(path) : path;
  if (single && (await stat(path).catch(() => undefined))?.isDirectory())
    throw new UserError(
      "out/is-folder",
      `${path} is a folder.`,
      `Name a file, or a folder whose name does not end in ${extname(path)}.`,
    );
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
  const replace = (name: string, bytes: Uint8Array) => inFolder(() => writeFileAtomically(name, (sink) => sink.write(bytes)));
  return {
    async write(picture) {
      if (single) {
        await replace(path, picture);
        return path;
      }
      const from = next;
      const numbered = (attempt: number): string => {
        next = from + attempt + 1;
        return join(folder, `image_${from + attempt}.${ENDINGS[format]}`);
      };
      return inFolder(() => writeUnderFreeName(numbered, (sink) => sink.write(picture)));
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

function onStdout(stdout: TextStream, format: PictureFormat): PictureFiles {
  if (stdout.isTTY)
    throw new UserError(
      "out/terminal",
      "--out - writes the picture to stdout, which is a terminal.",
      `Redirect it to a file or pipe it to a program: … --out - > picture.${ENDINGS[format]}`,
    );
  return {
    async write(picture) {
      stdout.write(picture);
      return STDOUT;
    },
    writePreview: () => Promise.reject(new TypeError("stdout takes one picture")),
    tidy: async () => {},
  };
}

async function firstFree(folder: string): Promise<number> {
  const numbers = (await readdir(folder)).map((name) => Number(/^image_(\d+)\.(?:png|jpe?g|webp)$/i.exec(name)?.[1] ?? -1));
  return Math.max(-1, ...numbers) + 1;
}
