import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
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

/** Anchors of a page's headings, as GitHub makes them. */
const anchorsOf = (page: string): string[] =>
  [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, "")
      .replaceAll(" ", "-"),
  );

describe("links", () => {
  const pages = [...readdirSync(root), ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)].filter((name) =>
    name.endsWith(".md"),
  );
  test.each(pages)("of %s lead to files and their headings", (page) => {
    for (const [, target] of read(page).matchAll(/\]\(([^)]+)\)/g)) {
      if (/^https:/.test(target!)) continue;
      const [path, anchor] = target!.split("#");
      const file = path === "" ? page : join(dirname(page), path!);
      expect(existsSync(join(root, file)), target).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(file), target).toContain(anchor);
    }
  });
  test.each(["ARCHITECTURE.md", "CONTRIBUTING.md"])("%s names files and folders that exist", (page) => {
    const named = [...read(page).matchAll(/`((?:src\/|docs\/|fixtures\/|\.ci\/)[\w./-]+)`/g)].map(([, path]) => path!);
    expect(named.length).toBeGreaterThan(2);
    for (const path of named) expect(existsSync(join(root, path)), path).toBe(true);
  });
  test("ARCHITECTURE.md names files of src/ that exist", () => {
    const named = [...read("ARCHITECTURE.md").matchAll(/`((?!src\/|bench\/|docs\/)[\w.-]+(?:\/[\w.-]+)+\.(?:ts|js|wat))`/g)].map(
      ([, path]) => path!,
    );
    expect(named.length).toBeGreaterThan(30);
    const isThere = (path: string): boolean => existsSync(join(root, "src", path)) || existsSync(join(root, path));
    expect(named.filter((path) => !isThere(path))).toEqual([]);
  });
});

describe("the table of folders in ARCHITECTURE.md", () => {
  const lines = [...read("ARCHITECTURE.md").matchAll(/^\| (\d*) ?\| `([\w-]+)` \|/gm)].map(([, row, folder]) => ({
    row: row!,
    folder: folder!,
  }));
  test("has a line for every folder", () => {
    const folders = readdirSync(join(root, "src"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(lines.map(({ folder }) => folder).sort()).toEqual(folders.map(({ name }) => name).sort());
  });
  test("has the rows that dependency-cruiser checks, with their numbers and in their order", async () => {
    const { ROWS } = (await import(pathToFileURL(join(root, ".dependency-cruiser.mjs")).href)) as { ROWS: string[][] };
    const ruled = ROWS.flatMap((row, i) => row.map((folder) => ({ row: `${i + 1}`, folder })));
    const inRow = (a: (typeof lines)[number], b: (typeof lines)[number]): number =>
      Number(a.row) - Number(b.row) || (a.folder < b.folder ? -1 : 1);
    const told = lines.filter(({ row }) => row !== "");
    expect(told.toSorted(inRow)).toEqual(ruled.toSorted(inRow));
    expect(told.map(({ row }) => row)).toEqual(ruled.map(({ row }) => row));
  });
});

test("the README's command keeps ONNX Runtime's libraries of this system alone", async () => {
  const [, program] = /node -e "(.*napi-v6.*)"\n/.exec(read("README.md"))!;
  const project = await mkdtemp(join(tmpdir(), "trimmed-"));
  const libraries = join(project, "node_modules/onnxruntime-node/bin/napi-v6");
  const installed = join(root, "node_modules/onnxruntime-node/bin/napi-v6");
  const systems = readdirSync(installed).flatMap((system) =>
    readdirSync(join(installed, system)).map((kind) => join(system, kind)),
  );
  for (const system of systems) await mkdir(join(libraries, system), { recursive: true });
  await promisify(execFile)(process.execPath, ["-e", program!], { cwd: project });
  const left = systems.filter((system) => existsSync(join(libraries, system)));
  expect(systems.length).toBeGreaterThan(3);
  expect(left).toEqual(systems.filter((system) => system === join(process.platform, process.arch)));
  await rm(project, { recursive: true });
});
