import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { goldenPath } from "../../testing/golden.ts";
import { cli, codeOf } from "../../testing/run-cli.ts";
import { addEvaluateScore } from "./evaluate-score.ts";

const golden = (...parts: string[]): string => goldenPath("evaluate", ...parts);
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "evaluate-"));
  for (const name of ["anna", "bert", "carla"]) await mkdir(join(root, "real", name), { recursive: true });
  for (const [run, offset] of [
    ["a", 0],
    ["b", 1],
  ] as const) {
    await mkdir(join(root, run));
    const lines: string[] = [];
    for (const [i, person] of ["anna", "bert", "carla"].entries()) {
      await copyFile(golden("pictures", `${(i + offset) % 3}.png`), join(root, run, `${i}.png`));
      await copyFile(golden("pictures", `${i}.png`), join(root, "real", person, "1.png"));
      lines.push(JSON.stringify({ file: `${i}.png`, person, prompt: "a photo of a person img", seed: 7 }));
    }
    await writeFile(join(root, run, "pictures.jsonl"), lines.join("\n"));
  }
});
afterAll(() => rm(root, { recursive: true }));

const score = (run: string, ...more: string[]) =>
  cli([
    "evaluate",
    "score",
    join(root, run),
    "--people",
    join(root, "real"),
    "--clip",
    dirname(golden("clip", "config.json")),
    "--no-faces",
    "-q",
    ...more,
  ]);

test("evaluate score prints a table with intervals and names what is left out, and compare the differences", async () => {
  const first = await score("a");
  expect(first).toMatchObject({ code: 0, err: "" });
  expect(first.out).toMatch(/^3 pictures of 3 people/);
  expect(first.out).toMatch(/^CLIP-I {20}100\.00 {2}\[100\.00, 100\.00\]$/m);
  expect(first.out).toMatch(/^CLIP-T {20}-?\d+\.\d\d {2}\[/m);
  expect(first.out).toMatch(/left out:[\s\S]*Face Sim: it needs networks of faces/);
  const second = await score("b", "--json");
  expect(JSON.parse(second.out).figures.clipI.value).toBeLessThan(99.9);
  const compared = await cli(["evaluate", "compare", join(root, "a"), join(root, "b")]);
  expect(compared.code).toBe(0);
  expect(compared.out).toMatch(/^CLIP-I +-\d+\.\d\d +\[-\d+\.\d\d, -\d+\.\d\d\] +0\.2500 +/m); // of three people, two of eight exchanges go as far
  const json = JSON.parse((await cli(["evaluate", "compare", join(root, "a"), join(root, "b"), "--json"])).out);
  expect(json.clipI.ofPeople).toHaveLength(3);
});

test("evaluate score refuses half of LPIPS, and a run without scores is not compared", async () => {
  expect(await codeOf(addEvaluateScore, ["score", join(root, "a"), "--lpips", "alexnet.pth"])).toBe("evaluate/lpips-files");
  const half = await score("a", "--lpips", "alexnet.pth");
  expect(half.code).toBe(1);
  expect(half.err).toContain("LPIPS needs two files, and 1 is given");
  const none = await cli(["evaluate", "compare", join(root, "a"), join(root, "real")]);
  expect(none.err).toContain("has no scores.json");
  expect(none.code).toBe(1);
});
