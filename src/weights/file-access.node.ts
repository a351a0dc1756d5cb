import { type FileHandle, open, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { systemCode, UserError } from "../core/errors.ts";
import { fileAmong } from "../core/file-among.node.ts";
import { type ByteSource, truncated } from "./byte-source.ts";

/** A file on the disk. It is open while something is read, and no longer. */
export class FileSource implements ByteSource {
  /** Absolute. */
  readonly path: string;
  readonly size: number;
  readonly modified: number | undefined;
  #handle: Promise<FileHandle> | undefined;
  /** Those for whom it is open. */
  #users = 0;

  /** @param path absolute */
  constructor(path: string, size: number, modified?: number) {
    this.path = path;
    this.size = size;
    this.modified = modified;
  }

  get id(): string {
    return this.path;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    return this.during((handle) => readRange(handle, this.path, offset, length));
  }

  /**
   * Keeps the file open for the time that `use` needs it, so that many reads open it once.
   * @throws UserError file/missing, file/is-folder, file/denied
   */
  async during<T>(use: (handle: FileHandle) => Promise<T>): Promise<T> {
    this.#users++;
    this.#handle ??= open(this.path, "r");
    const opened = this.#handle;
    try {
      const handle = await opened.catch((error: unknown) => {
        throw asReadError(error, this.path);
      });
      return await use(handle);
    } finally {
      if (--this.#users === 0) {
        this.#handle = undefined;
        await (await opened.catch(() => undefined))?.close();
      }
    }
  }
}

/**
 * Opens a file, and closes it when `use` has finished. The source can be read afterwards, too.
 * @throws UserError file/missing, file/is-folder, file/denied
 */
export async function withFile<T>(path: string, use: (file: FileSource) => Promise<T>): Promise<T> {
  const absolute = resolve(path);
  const found = await stat(absolute).catch((error: unknown) => {
    throw asReadError(error, absolute);
  });
  if (found.isDirectory())
    throw new UserError("file/is-folder", `${absolute} is a folder, not a file.`, "Give the path of a file in it.");
  const file = new FileSource(absolute, found.size, found.mtimeMs);
  return file.during(() => use(file));
}

async function readRange(handle: FileHandle, path: string, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  const most = 2 ** 30; // the system reads less than 2 GiB at once
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(most, length - done), offset + done);
    if (bytesRead === 0) throw truncated(path, offset + done, offset, length);
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
