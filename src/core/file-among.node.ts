import { statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** The part of a path that is a file, so that nothing can lie below it; the path itself if there is none. */
export function fileAmong(path: string): string {
  for (let at = resolve(path); dirname(at) !== at; at = dirname(at)) if (isFile(at)) return at;
  return path;
}

/** False also where it cannot be known. */
function isFile(path: string): boolean {
  try {
    return !statSync(path).isDirectory();
  } catch {
    return false;
  }
}
