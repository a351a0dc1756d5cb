import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";
import { parseHubId } from "../weights/hub/index.ts";

const CACHED = /[\\/]models--([^\\/]+?)--([^\\/]+)[\\/]snapshots[\\/]([0-9a-f]{40})(?:[\\/](.+))?$/;

/**
 * Name of a model in a picture's settings, which others may see. A model of the hub has its id, with its commit if known; any other path
 * has only its last part, since folders reveal details about the user.
 */
export function publicName(path: string): string {
  const [, org, name, commit, file] = CACHED.exec(path) ?? [];
  if (org !== undefined) return `${org}/${name}@${commit}${file === undefined ? "" : `:${file.replaceAll("\\", "/")}`}`;
  return parseHubId(path) === undefined || existsSync(path) ? fileName(path) : path; // an existing path is not an id
}

/** Last part of a path, on any system. */
export const fileName = (path: string): string => basename(resolve(path)).replace(/^.*\\/, "");

/** Short name of a model: that of its file or of its repository. */
export function shortName(path: string): string {
  const id = parseHubId(publicName(path));
  return fileName(id === undefined ? path : (id.file ?? id.repo));
}
