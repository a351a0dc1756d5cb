import { readdir } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { exists } from "../weights/read-json.node.ts";

/** Whether a shell would look for files that are named so; an address on the web is none. */
export const isPattern = (path: string): boolean => /[*?[]/.test(path) && !/^https?:/.test(path);

/**
 * The paths that a pattern names, in the order of a shell in the C locale: `*` any letters, `?` one, `[a-c]` and `[!a-c]` one of some,
 * none of them a `/`, nor a dot at the beginning. Where a shell has quotes, `[*]` is a star.
 */
export async function matchesOf(pattern: string): Promise<string[]> {
  const parts = pattern.split(process.platform === "win32" ? /[\\/]+/ : /\/+/);
  let found = [isAbsolute(pattern) ? parts.shift() || "/" : ""];
  for (const part of parts) found = (await Promise.all(found.map((folder) => within(folder, part)))).flat();
  const there = await Promise.all(found.map(exists));
  return found.filter((_, i) => there[i]).sort(); // by code units
}

/** Those in a folder that a part of a pattern names. A part without signs is not looked for yet. */
async function within(folder: string, part: string): Promise<string[]> {
  if (!isPattern(part)) return [join(folder, part)];
  const names = await readdir(folder || ".").catch(() => []); // no folder has no files
  const like = expressionOf(part);
  return names.filter((name) => like.test(name)).map((name) => join(folder, name));
}

function expressionOf(part: string): RegExp {
  const source = part.replace(/\*+|\?|\[([!^]?)(\]?[^\]]*)\]|[\\^$.|+(){}[\]]/g, (sign, not?: string, some?: string) => {
    if (sign.startsWith("*")) return ".*";
    if (sign === "?") return ".";
    if (some !== undefined) return `[${not ? "^" : ""}${some.replace(/[\\\]^]/g, "\\$&")}]`;
    return `\\${sign}`;
  });
  return new RegExp(`^${part.startsWith(".") ? "" : "(?!\\.)"}${source}$`, "su");
}
