import { type FileHandle, open } from "node:fs/promises";
import { resolve } from "node:path";
import { systemCode, UserError } from "../core/errors.ts";
import { fileAmong } from "../core/file-among.node.ts";

/** A file that is read by range. */
export interface ReadableFile {
  /** Absolute path */
  readonly path: string;
  readonly size: number;
  /** @throws UserError file/truncated if the range goes beyond the end */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/**
 * Opens a file, and closes it when `use` has finished.
 * @throws UserError file/missing, file/is-folder, file/denied
 */
export async function withFile<T>(path: string, use: (file: ReadableFile) => Promise<T>): Promise<T> {
  const absolute = resolve(path);
  const handle = await open(absolute, "r").catch((error: unknown) => {
    throw asReadError(error, absolute);
  });
  try {
    const stat = await handle.stat();
    if (stat.isDirectory())
      throw new UserError("file/is-folder", `${absolute} is a folder, not a file.`, "Give the path of a file in it.");
    const size = stat.size;
    return await use({ path: absolute, size, read: (offset, length) => readRange(handle, absolute, offset, length) });
  } finally {
    await handle.close();
  }
}

async function readRange(handle: FileHandle, path: string, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  const most = 2 ** 30; // the system reads less than 2 GiB at once
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(most, length - done), offset + done);
    if (bytesRead === 0)
      throw new UserError(
        "file/truncated",
        `${path} ends after ${offset + done} bytes; bytes ${offset} to ${offset + length} are needed.`,
        "The file is incomplete: download or copy it again.",
      );
    done += bytesRead;
  }
  return bytes;
}

/** Converts a system error while reading to a UserError; returns anything else unchanged. */
export function asReadError(error: unknown, path: string): unknown {
  switch (systemCode(error)) {
    case "ENOENT":
      return new UserError("file/missing", `${path} does not exist.`, "Check the path.", { cause: error });
    case "ENOTDIR":
      return new UserError(
        "file/missing",
        `${path} does not exist: ${fileAmong(path)} is a file, and has none below it.`,
        "Check the path.",
        { cause: error },
      );
    case "EISDIR":
      return new UserError("file/is-folder", `${path} is a folder, not a file.`, "Give the path of a file in it.", {
        cause: error,
      });
    case "EACCES":
    case "EPERM":
      return new UserError("file/denied", `${path} may not be read.`, "Change its permissions, or copy it.", { cause: error });
    default:
      return error;
  }
}
