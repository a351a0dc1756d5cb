import { readFile, stat } from "node:fs/promises";
import { type ErrorCode, messageOf, systemCode, UserError } from "../core/errors.ts";
import { fileAmong } from "../core/file-among.node.ts";

/** The bytes of a photo. With `maxBytes`, a model file given by mistake is not read whole. */
export async function readPhotoFile(path: string, maxBytes: number): Promise<Uint8Array> {
  try {
    const found = await stat(path);
    if (found.isDirectory())
      throw new UserError("photo/is-folder", `${path} is a folder, not a photo.`, "Name the photos in it.");
    if (!found.isFile()) throw new UserError("photo/unreadable", `${path} is not a regular file.`, "Give the path of a photo.");
    if (found.size > maxBytes)
      throw new UserError(
        "photo/enormous",
        `${path} has ${found.size} bytes; a photo may have at most ${maxBytes}.`,
        "Check that it is a photo, or save it smaller.",
      );
    return await readFile(path);
  } catch (error) {
    throw asPhotoError(error, path);
  }
}

function asPhotoError(error: unknown, path: string): unknown {
  const code = systemCode(error);
  if (error instanceof UserError || code === undefined) return error;
  const refuse = (name: ErrorCode, problem: string, remedy: string) => new UserError(name, problem, remedy, { cause: error });
  switch (code) {
    case "ENOENT":
      return /^https?:/.test(path)
        ? refuse("photo/missing", `${path} is an address, not a file.`, "Download the photo and give its path.")
        : refuse("photo/missing", `There is no photo ${path}.`, "Check the path.");
    case "ENOTDIR":
      return refuse(
        "photo/missing",
        `There is no photo ${path}: ${fileAmong(path)} is a file, and has none below it.`,
        "Check the path.",
      );
    case "EACCES":
    case "EPERM":
      return refuse("photo/denied", `${path} may not be read.`, "Change its permissions, or copy it.");
    default:
      return refuse("photo/unreadable", `${path} could not be read: ${messageOf(error)}.`, "Check the path and the disk.");
  }
}
