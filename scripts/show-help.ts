import { readFileSync } from "node:fs";

/** Text of a script's head comment. */
export const headOf = (source: string): string => (/^(?:\/\/.*\n)+/.exec(source)?.[0] ?? "").replace(/^\/\/ ?/gm, "");

// imported first by each script, so that --help does nothing else
if (process.argv[2] === "--help" || process.argv[2] === "-h") {
  process.stdout.write(headOf(readFileSync(process.argv[1]!, "utf8")));
  process.exit();
}
