import { readdir } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { exists } from "../../weights/read-json.node.ts";

/** Whether a shell would expand a path. Web addresses are not patterns. */
export const isPattern = (path: string): boolean => /[*?[]/.test(path) && !/^https?:/.test(path);

/**
 * Expands a pattern as a shell in the C locale does: `*` matches any characters, `?` one, `[a-c]` and `[!a-c]` one of a set;
 * none matches `/`, or a dot at the beginning. On Windows capitals do not count. There is no quoting: `[*]` is a literal star.
 */
export async function matchesOf(pattern: string): Promise<string[]> {
  const parts = pattern.split(process.platform === "win32" ? /[\\/]+/ : /\/+/);
  let found = [isAbsolute(pattern) ? parts.shift() || "/" : ""];
  for (const part of parts) found = (await Promise.all(found.map((folder) => within(folder, part)))).flat();
  const there = await Promise.all(found.map(exists));
  return found.filter((_, i) => there[i]).sort(); // by code units
}

/** Paths in a folder that match one part of a pattern, or have its very name. A part without wildcards is not checked yet. */
async function within(folder: string, part: string): Promise<string[]> {
  if (!isPattern(part)) return [join(folder, part)];
  const names = await readdir(folder || ".").catch((): string[] => []); // a missing folder has no files
  if (names.includes(part)) return [join(folder, part)];
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
  return new RegExp(`^${part.startsWith(".") ? "" : "(?!\\.)"}${source}$`, process.platform === "win32" ? "sui" : "su");
}
