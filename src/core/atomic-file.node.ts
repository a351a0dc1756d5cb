import { randomBytes } from "node:crypto";
import { accessSync } from "node:fs";
import { access, constants, type FileHandle, link, open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { type ErrorCode, messageOf, systemCode, UserError } from "./errors.ts";
import { fileAmong } from "./file-among.node.ts";

/** Takes the bytes of a file that is being written, in order. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>;
}

/**
 * Writes a file so that it either appears complete under its name or not at all: under a temporary name in the
 * same folder, synced, then renamed. Whatever `write` throws, the temporary file is removed.
 *
 * @throws UserError those of asDiskError
 */
export async function writeFileAtomically(path: string, write: (sink: ByteSink) => Promise<void>): Promise<void> {
  const target = resolve(path);
  await writePart(target, write, (part) => rename(part, target));
}

/**
 * Writes a file whole or not at all, under the first of some names that nothing has. The name is taken in the moment in which the whole
 * file appears, so that of several programs that write at once none replaces what another wrote.
 *
 * @param pathOf the names, by number from 0, all in one folder; undefined when there are no more
 * @returns the path that was taken
 * @throws UserError disk/no-free-name, and those of asDiskError
 */
export async function writeUnderFreeName(
  pathOf: (attempt: number) => string | undefined,
  write: (sink: ByteSink) => Promise<void>,
): Promise<string> {
  const first = resolve(pathOf(0) ?? "");
  return writePart(first, write, async (part) => {
    for (let attempt = 0; ; attempt++) {
      const path = pathOf(attempt);
      if (path === undefined)
        throw new UserError("disk/no-free-name", `${first} is there already.`, "Choose another name, or remove it first.");
      if (await take(part, resolve(path))) return resolve(path);
    }
  });
}

/** Gives a whole file a name if nothing has it. */
async function take(part: string, target: string): Promise<boolean> {
  try {
    await link(part, target);
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    if (!NO_LINKS.has(systemCode(error) ?? "")) throw error;
    return takeWithoutLinks(part, target);
  }
  await rm(part);
  return true;
}

/** What systems answer for disks that have no hard links, such as FAT, and where programs may make none. */
const NO_LINKS: ReadonlySet<string> = new Set([
  "EPERM",
  "EACCES",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
  "EINVAL",
  "EMLINK",
  "UNKNOWN",
]);

/** An empty file takes the name, and the whole one replaces it. */
async function takeWithoutLinks(part: string, target: string): Promise<boolean> {
  try {
    await (await open(target, "wx")).close();
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  }
  await rename(part, target).catch(async (error: unknown) => {
    await rm(target, { force: true });
    throw error;
  });
  return true;
}

/** Writes a file beside its place, synced, and hands it to `finish`, which gives it its name. It is removed if anything fails. */
async function writePart<T>(
  target: string,
  write: (sink: ByteSink) => Promise<void>,
  finish: (part: string) => Promise<T>,
): Promise<T> {
  const part = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}.part`);
  let file: FileHandle | undefined;
  try {
    file = await open(part, "wx");
    const handle = file;
    await write({ write: (bytes) => writeAll(handle, bytes) });
    await file.sync();
    await file.close();
    return await finish(part);
  } catch (error) {
    await file?.close().catch(() => undefined);
    await rm(part, { force: true }).catch(() => undefined); // below a file there is nothing to remove
    throw asDiskError(error, target);
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  const most = 2 ** 30; // the system writes less than 2 GiB at once
  for (let from = 0; from < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, from, Math.min(most, bytes.length - from));
    from += bytesWritten;
  }
}

/**
 * Sees that a file can be written, before the work that it is for.
 * @throws UserError those of asDiskError
 */
export async function checkWritable(path: string): Promise<void> {
  const target = resolve(path);
  const like = (code: string): Error => Object.assign(new Error(code), { code });
  try {
    if (!(await stat(dirname(target))).isDirectory()) throw like("ENOTDIR");
    if ((await stat(target).catch(() => undefined))?.isDirectory()) throw like("EISDIR");
    await access(dirname(target), constants.W_OK);
  } catch (error) {
    throw asDiskError(error, target);
  }
}

/** Why nothing can be made in a folder, or in the one that is nearest above it where it lacks; undefined if something can. */
function whyNotWritable(folder: string): unknown {
  try {
    accessSync(folder, constants.W_OK);
    return undefined;
  } catch (error) {
    return systemCode(error) === "ENOENT" && dirname(folder) !== folder ? whyNotWritable(dirname(folder)) : error;
  }
}

/**
 * A system error of writing, told to the user; anything else unchanged.
 * @returns UserError disk/full, disk/read-only, disk/denied, disk/not-a-folder, disk/no-folder, disk/is-folder or disk/failed
 */
export function asDiskError(error: unknown, path: string): unknown {
  const refuse = (code: ErrorCode, problem: string, remedy: string) => new UserError(code, problem, remedy, { cause: error });
  switch (systemCode(error)) {
    case "ENOSPC":
    case "EDQUOT":
    case "EFBIG":
      return refuse("disk/full", `There is no room left for ${path}.`, "Free some space, or write to another disk.");
    case "EROFS":
      return refuse(
        "disk/read-only",
        `${path} cannot be written: its disk is mounted to be read only.`,
        "Choose a folder on another disk.",
      );
    case "EACCES":
    case "EPERM":
      return refuse("disk/denied", `${path} may not be written here.`, "Choose a folder that you may write to.");
    case "ENOTDIR":
      return refuse(
        "disk/not-a-folder",
        `${fileAmong(path)} cannot be a folder: there is a file of that name.`,
        "Choose a path with no file on its way.",
      );
    case "ENOENT":
      if (path !== dirname(path) && whyNotWritable(dirname(path)) !== undefined)
        return asDiskError(whyNotWritable(dirname(path)), path); // to say "make it first" would help nobody
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
