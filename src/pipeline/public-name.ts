import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";
import { parseHubId } from "../weights/hub/index.ts";

const CACHED = /[\\/]models--([^\\/]+?)--([^\\/]+)[\\/]snapshots[\\/]([0-9a-f]{40})(?:[\\/](.+))?$/;

/**
 * How a picture, which others may see, names a model that it was made with. What came from the hub is named by its id, with
 * its commit where that is known; of any other path only the last part is told, as folders speak of the user.
 */
export function publicName(path: string): string {
  const [, org, name, commit, file] = CACHED.exec(path) ?? [];
  if (org !== undefined) return `${org}/${name}@${commit}${file === undefined ? "" : `:${file.replaceAll("\\", "/")}`}`;
  return parseHubId(path) === undefined || existsSync(path) ? fileName(path) : path; // what exists here is no id
}

/** The last part of a path, on any system. */
export const fileName = (path: string): string => basename(resolve(path)).replace(/^.*\\/, "");

/** A model's name in few letters: that of its file or of its repository. */
export function shortName(path: string): string {
  const id = parseHubId(publicName(path));
  return fileName(id === undefined ? path : (id.file ?? id.repo));
}
