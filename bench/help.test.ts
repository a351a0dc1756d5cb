import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { headOf } from "../scripts/show-help.ts";

const root = join(import.meta.dirname, "..");
/** Files that are run rather than imported: they export nothing. */
const scripts = ["bench", "scripts"]
  .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)))
  .filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts"))
  .filter((path) => !/^export /m.test(readFileSync(join(root, path), "utf8")));

test("there are scripts", () => expect(scripts.length).toBeGreaterThan(12));

test.each(scripts)("%s describes its usage in its head comment, and shows that before doing anything else", (path) => {
  const source = readFileSync(join(root, path), "utf8");
  const name = path.replaceAll("\\", "/");
  expect(headOf(source)).toMatch(
    new RegExp(`^ {2}(npx tsx ${name}|npm run ${/(\w+(-\w+)*)(\/main)?\.ts$/.exec(name)![1]})`, "m"),
  );
  const [first] = source.slice(headOf(source).length).match(/^import .*$/m)!;
  if (!source.includes("new Command(")) expect(first).toMatch(/^import "(\.\/|(\.\.\/)+(scripts\/)?)show-help\.ts";$/);
});

test.each(["scripts/size.ts", "bench/processors/run.ts", "bench/training/step.ts", "bench/precision/run.ts"])(
  "%s answers --help",
  async (path) => {
    const args = ["--import", "tsx", join(root, path), "--help"];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: root });
    expect(stdout).toMatch(path.includes("precision") ? /^Usage: / : /^[A-Z][^\n]+\n/);
    expect(stdout).toMatch(/npx tsx|npm run|--model/);
    expect(stderr).toBe("");
  },
);
