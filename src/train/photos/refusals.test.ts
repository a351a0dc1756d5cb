import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { trainingPhotos } from "./training-photos.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "photos-"));
});
afterEach(() => rm(folder, { recursive: true }));

const read = (path = folder) => trainingPhotos(path, { masks: true, trigger: "img" });
const refusal = (code: string, message: string) => ({ name: "UserError", code, message: expect.stringContaining(message) });

test("a missing folder", async () => {
  await expect(read(join(folder, "none"))).rejects.toMatchObject(refusal("data/missing", join(folder, "none")));
});

test("a broken line of a list is named", async () => {
  await writeFile(join(folder, "index.jsonl"), '{"file": "a.png", "person": 1}\n{"file": "b.png"}\n');
  await expect(read()).rejects.toMatchObject(refusal("data/not-json", "line 2 of"));
  await writeFile(join(folder, "index.jsonl"), "{\n");
  await expect(read()).rejects.toMatchObject(refusal("data/not-json", "line 1 of"));
});

test("a folder with nothing to learn from, with the reasons", async () => {
  await expect(read()).rejects.toMatchObject(refusal("data/nothing-left", "no pictures were found"));
  await mkdir(join(folder, "ann"));
  await writeFile(join(folder, "ann", "a.png"), "no picture");
  await expect(read()).rejects.toMatchObject(refusal("data/nothing-left", "1 "));
});
