import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeFileAtomically } from "./atomic-file.node.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "atomic-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("the file appears whole, under its name only", async () => {
  const path = join(folder, "a.bin");
  await writeFileAtomically(path, async (sink) => {
    await sink.write(Uint8Array.of(1, 2));
    expect(await readdir(folder)).not.toContain("a.bin");
    await sink.write(Uint8Array.of(3));
  });
  expect([...(await readFile(path))]).toEqual([1, 2, 3]);
  expect(await readdir(folder)).toEqual(["a.bin"]);
});

test.each([
  ["ENOSPC", "disk/full"],
  ["EDQUOT", "disk/full"],
  ["EACCES", "disk/denied"],
  ["EIO", "disk/failed"],
])("%s while writing is told as %s and leaves what was there before", async (system, code) => {
  const path = join(folder, "a.bin");
  await writeFile(path, "before");
  const writing = writeFileAtomically(path, async (sink) => {
    await sink.write(Uint8Array.of(1));
    throw Object.assign(new Error("write"), { code: system });
  });
  await expect(writing).rejects.toMatchObject({ name: "UserError", code });
  expect(await readdir(folder)).toEqual(["a.bin"]);
  expect(await readFile(path, "utf8")).toBe("before");
});

test("a folder that does not exist, and a folder in the place of the file", async () => {
  await expect(writeFileAtomically(join(folder, "no", "a"), async () => {})).rejects.toMatchObject({ code: "disk/no-folder" });
  await mkdir(join(folder, "dir", "inner"), { recursive: true });
  await expect(writeFileAtomically(join(folder, "dir"), async () => {})).rejects.toMatchObject({ code: "disk/is-folder" });
  expect(await readdir(folder)).toEqual(["dir"]);
});

test("a fault of the program is passed on unchanged and leaves nothing", async () => {
  const fault = new TypeError("ours");
  await expect(writeFileAtomically(join(folder, "a"), () => Promise.reject(fault))).rejects.toBe(fault);
  expect(await readdir(folder)).toEqual([]);
});
