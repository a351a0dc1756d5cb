import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");

describe("docs/FEATURES.md", () => {
  const rows = read("docs/FEATURES.md")
    .split("\n")
    .filter((line) => line.startsWith("| ") && !/^\| (feature \||\*\*)/.test(line))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  test("has features", () => expect(rows.length).toBeGreaterThan(40));
  test.each(rows)("%s", (_, state, shown) => {
    if (state === "not yet" || state === "not tested") return expect(shown).toBe("");
    expect(["same", "works"]).toContain(state);
    const [, file, title] = /^`([^`]+)` "(.+)"$/.exec(shown!)!;
    expect(titlesIn(file!)).toContain(title);
  });
});

/** What the tests of a file are called, as far as it stands in the file. */
const titlesIn = (file: string): string[] =>
  [...read(file).matchAll(/\(\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|`([^`]*)`),/g)].map(([, a, b, c]) => (a ?? b ?? c)!);

describe("links", () => {
  const pages = [...readdirSync(root), ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)].filter((name) =>
    name.endsWith(".md"),
  );
  test.each(pages)("of %s lead to files", (page) => {
    for (const [, target] of read(page).matchAll(/\]\(([^)]+)\)/g))
      if (!/^https:/.test(target!)) expect(existsSync(join(root, dirname(page), target!)), target).toBe(true);
  });
  test.each(["ARCHITECTURE.md", "CONTRIBUTING.md"])("%s names files and folders that exist", (page) => {
    const named = [...read(page).matchAll(/`((?:src\/|docs\/|fixtures\/|\.ci\/)[\w./-]+)`/g)].map(([, path]) => path!);
    expect(named.length).toBeGreaterThan(2);
    for (const path of named) expect(existsSync(join(root, path)), path).toBe(true);
  });
  test("ARCHITECTURE.md has a line for every folder", () => {
    const folders = readdirSync(join(root, "src"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    for (const { name } of folders) expect(read("ARCHITECTURE.md")).toMatch(new RegExp(`^\\| \\d* ?\\| \`${name}\` \\|`, "m"));
  });
});
