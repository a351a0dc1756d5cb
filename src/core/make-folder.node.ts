import { statSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { asDiskError } from "./atomic-file.node.ts";
import { systemCode, UserError } from "./errors.ts";

/**
 * Makes a folder, and those above it that are not there, one level at a time. Node's `mkdir` with `recursive` is not used: where the
 * system answers "no such file" below a folder that exists, as in /proc, it asks the same two paths in turn for ever, in a thread that
 * no signal ends.
 *
 * @returns the outermost folder that was made, or undefined if all were there
 * @throws UserError disk/not-a-folder, disk/read-only, disk/denied, disk/no-folders-here and others of asDiskError
 */
export async function makeFolder(path: string): Promise<string | undefined> {
  const wanted = resolve(path);
  const missing: string[] = [];
  let at = wanted;
  while (!(await isThere(at))) {
    missing.push(at);
    at = dirname(at);
  }
  const made = missing.at(-1);
  for (const folder of missing.reverse()) await makeOne(folder);
  return made;
}

/** @throws UserError disk/not-a-folder, and others of asDiskError */
async function isThere(path: string): Promise<boolean> {
  try {
    if ((await stat(path)).isDirectory()) return true;
  } catch (error) {
    if (systemCode(error) === "ENOENT" && dirname(path) !== path) return false;
    throw asDiskError(error, path);
  }
  throw asDiskError(Object.assign(new Error("there is a file"), { code: "ENOTDIR" }), path);
}

async function makeOne(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    if (systemCode(error) === "EEXIST" && statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return; // made meanwhile by another
    if (systemCode(error) === "ENOENT")
      throw new UserError("disk/no-folders-here", `The system makes no folder ${folder}.`, "Choose a folder elsewhere.", {
        cause: error,
      });
    throw asDiskError(error, folder);
  }
}
