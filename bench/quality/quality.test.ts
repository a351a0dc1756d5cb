import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { decodePhoto } from "../../src/image/index.ts";
import type { Compared, SingleFigure } from "../../src/miniature/score.ts";
import { chartPng, chartSvg } from "./chart.ts";
import { CONFIGURATIONS, nameOf, REFERENCE } from "./configurations.ts";
import { checkSettings, type Row, readRows, writeRows } from "./results.ts";
import { markdown } from "./table.ts";

const folder = await mkdtemp(join(tmpdir(), "quality-"));
afterAll(() => rm(folder, { recursive: true }));

const NAMES: SingleFigure[] = ["faceSimShare", "rank1", "hairStyle", "eyeColour", "hairColour", "textAccuracy", "textLoss"];
const rows = CONFIGURATIONS.map((configuration, i): Row => {
  const figure: Compared = { value: 0.7, error: 0.05, difference: 0 - 0.01 * i, differenceError: 0.004 };
  const figures = Object.fromEntries(NAMES.map((name) => [name, figure])) as Row["figures"];
  const name = nameOf(configuration);
  return { name, configuration, seconds: 2 - 0.05 * i, referenceSeconds: 2, figures, settings: { people: 6, model: "a" } };
});

test("each configuration has its own name, and the first is the reference", () => {
  expect(new Set(CONFIGURATIONS.map(nameOf)).size).toBe(CONFIGURATIONS.length);
  expect(CONFIGURATIONS[0]).toEqual(REFERENCE);
  expect(nameOf(CONFIGURATIONS.at(-1)!)).toBe("--steps 4 --deep-cache 2 --guidance-end 0.5 --precision int8");
});

test("results are read as written, and no other file is left beside them", async () => {
  const path = join(folder, "results.jsonl");
  expect(await readRows(path)).toEqual([]);
  await writeRows(path, rows.slice(0, 2));
  await writeRows(path, rows);
  expect(await readRows(path)).toEqual(rows);
  expect(await readdir(folder)).toEqual(["results.jsonl"]);
});

test.each(["a table", '{"name":', '{"name":"--steps 4"}'])("a line that is not a result is refused: %s", async (line) => {
  const path = join(folder, "other.jsonl");
  await writeFile(path, `${JSON.stringify(rows[0])}\n${line}\n`);
  await expect(readRows(path)).rejects.toMatchObject({ code: "quality/not-results", message: expect.stringContaining("Line 2") });
});

test("results of another model or other people are not continued", () => {
  expect(() => checkSettings("file", rows, { people: 6, model: "a" })).not.toThrow();
  for (const settings of [{ people: 6, model: "b" }, { people: 7, model: "a" }, { people: 6 }])
    expect(() => checkSettings("file", rows, settings as Row["settings"])).toThrow(
      expect.objectContaining({ code: "quality/other-settings" }),
    );
});

test("the table has the fastest first, with differences and their errors", () => {
  const lines = markdown(rows).split("\n");
  expect(lines).toHaveLength(rows.length + 2);
  expect(lines[2]).toMatch(
    /^\| 4 \| `--deep-cache 2 --guidance-end 0\.5` \| int8 \| 0\.15 \| 7% \| 0\.700 ± 0\.050 \| −0\.370 ± 0\.004 \|/,
  );
  expect(lines.at(-1)).toMatch(/^\| 25 \| {2}\| f32 \| 2\.00 \| 100% \| 0\.700 ± 0\.050 \| 0\.000 ± 0\.004 \|/);
});

test("the chart has a point for each configuration in each panel", async () => {
  const svg = await chartSvg(rows);
  const points = svg.match(/aria-roledescription="point"/g)?.length ?? 0;
  expect(points).toBe(2 * rows.length);
  for (const text of ["T-GATE", "25 (5)", "Likeness, difference"]) expect(svg).toContain(text);
  expect((await decodePhoto(chartPng(svg))).width).toBeGreaterThan(1200);
});
