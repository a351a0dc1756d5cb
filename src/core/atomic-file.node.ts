import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { type ErrorCode, messageOf, systemCode, UserError } from "./errors.ts";

/** Where the bytes of a file go while it is being written, in order. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>;
}

/**
 * Writes a file so that it either appears whole under its name or not at all: under a temporary name in the
 * same folder, synced, then renamed. Whatever `write` throws, the temporary file is removed.
 *
 * @throws UserError disk/full, disk/denied, disk/no-folder, disk/is-folder, disk/failed
 */
export async function writeFileAtomically(path: string, write: (sink: ByteSink) => Promise<void>): Promise<void> {
  const target = resolve(path);
  const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}.part`);
  let file: FileHandle | undefined;
  try {
    file = await open(temporary, "wx");
    const handle = file;
    await write({ write: (bytes) => writeAll(handle, bytes) });
    await file.sync();
    await file.close();
    await rename(temporary, target);
  } catch (error) {
    await file?.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw asDiskError(error, target);
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  const most = 2 ** 30; // the system takes less than 2 GiB at once
  for (let from = 0; from < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, from, Math.min(most, bytes.length - from));
    from += bytesWritten;
  }
}

/** A system error of writing, told to the user; anything else unchanged. */
export function asDiskError(error: unknown, path: string): unknown {
  const refuse = (code: ErrorCode, problem: string, remedy: string) => new UserError(code, problem, remedy, { cause: error });
  switch (systemCode(error)) {
    case "ENOSPC":
    case "EDQUOT":
    case "EFBIG":
      return refuse("disk/full", `There is no room left for ${path}.`, "Free some space, or write to another disk.");
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return refuse("disk/denied", `${path} may not be written here.`, "Choose a folder that you may write to.");
    case "ENOENT":
    case "ENOTDIR":
      return refuse("disk/no-folder", `The folder ${dirname(path)} does not exist.`, "Make it first, or choose another.");
    case "EISDIR":
    case "ENOTEMPTY":
    case "EEXIST":
      return refuse("disk/is-folder", `${path} is a folder.`, "Give the name of a file.");
    case "EIO":
      return refuse("disk/failed", `${path} could not be written: ${messageOf(error)}.`, "Check the disk, or write to another.");
    default:
      return error;
  }
}
