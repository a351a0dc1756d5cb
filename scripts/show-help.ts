import { readFileSync } from "node:fs";

/** What the head of a script says: the comment that it begins with. */
export const headOf = (source: string): string => (/^(?:\/\/.*\n)+/.exec(source)?.[0] ?? "").replace(/^\/\/ ?/gm, "");

// imported first by each script, so that nothing else is done where only help is asked for
if (process.argv[2] === "--help" || process.argv[2] === "-h") {
  process.stdout.write(headOf(readFileSync(process.argv[1]!, "utf8")));
  process.exit();
}
