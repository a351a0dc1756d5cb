import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ContentFolder } from "./content-folder.node.ts";

let path: string;
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "content-"));
});
afterEach(() => rm(path, { recursive: true }));

const bytes = (...values: number[]) => Uint8Array.from(values);

test("an entry of one file is written, read, listed and removed", async () => {
  const folder = new ContentFolder(path, { endings: [".f32"] });
  expect(await folder.has("a")).toBe(false);
  expect(await folder.read("a")).toBeUndefined();
  await folder.write("a", Float32Array.of(1, 2));
  expect(await readdir(path)).toEqual(["a.f32"]);
  expect(new Float32Array((await folder.read("a"))!.buffer)).toEqual(Float32Array.of(1, 2));
  await writeFile(join(path, "b.u8"), "another kind's");
  await writeFile(join(path, ".c.f32.part.f32"), "unfinished");
  expect(await folder.list()).toMatchObject([{ key: "a", bytes: 8 }]);
  await folder.remove("a");
  expect((await readdir(path)).sort()).toEqual([".c.f32.part.f32", "b.u8"]);
});

test("files without their note count for nothing; those used longest ago are given up first", async () => {
  const folder = new ContentFolder(path, { endings: [".bin", ".onnx"], note: ".json" });
  for (const [i, key] of ["old", "older", "new"].entries()) {
    await folder.write(key, bytes(1, 2, 3), ".bin");
    if (key === "new") await folder.write(key, bytes(4), ".onnx");
    expect(await folder.list()).toHaveLength(i);
    await folder.write(key, bytes(0, 0));
  }
  const used = { old: 2, older: 1, new: 3 };
  for (const [key, time] of Object.entries(used)) await utimes(folder.file(key), time, time);
  expect((await folder.list()).map(({ key, bytes }) => [key, bytes])).toEqual([
    ["new", 4],
    ["old", 3],
    ["older", 3],
  ]);
  await folder.touch("older");
  expect((await folder.list())[0]!.key).toBe("older");
  expect((await folder.evict(await folder.list(), 5, new Set(["old"]))).map(({ key }) => key)).toEqual(["new", "older"]);
  expect((await readdir(path)).sort()).toEqual(["old.bin", "old.json"]);
});

test("a folder that is not there has no entries", async () => {
  const folder = new ContentFolder(join(path, "none"), { endings: [".f32"] });
  expect(await folder.list()).toEqual([]);
  await expect(folder.write("a", bytes(1))).rejects.toMatchObject({ code: "disk/no-folder" });
});
