import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openPictureFiles } from "./picture-files.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pictures-"));
});
afterEach(() => rm(folder, { recursive: true }));
const png = Uint8Array.of(1);

test("a folder is made, and numbers go on where it ends", async () => {
  const out = join(folder, "a", "b");
  const first = await openPictureFiles(out);
  expect(await first.write(png)).toBe(join(out, "image_0.png"));
  expect(await first.write(png)).toBe(join(out, "image_1.png"));
  await writeFile(join(out, "image_7.png"), "");
  const second = await openPictureFiles(out);
  expect(await second.write(png)).toBe(join(out, "image_8.png"));
  await second.writePreview(0, png);
  await second.writePreview(0, png);
  await second.tidy();
  expect((await readdir(out)).sort()).toEqual(["image_0.png", "image_1.png", "image_7.png", "image_8.png", "preview_0.png"]);
});

test("one file is replaced", async () => {
  const path = join(folder, "x.PNG");
  await writeFile(path, "old");
  expect(await (await openPictureFiles(path)).write(png)).toBe(path);
  expect([...(await readFile(path))]).toEqual([1]);
});

test("a folder that was made for nothing is taken away, and no other", async () => {
  await mkdir(join(folder, "old"));
  await (await openPictureFiles(join(folder, "old"))).tidy();
  await (await openPictureFiles(join(folder, "new", "er"))).tidy();
  expect(await readdir(folder)).toEqual(["old"]);
});

test("what cannot be written to is refused before the work", async () => {
  await writeFile(join(folder, "file"), "");
  await mkdir(join(folder, "dir.png"));
  await expect(openPictureFiles(join(folder, "file"))).rejects.toMatchObject({ code: "out/not-a-folder" });
  await expect(openPictureFiles(join(folder, "file", "x"))).rejects.toMatchObject({ code: "out/not-a-folder" });
  await expect(openPictureFiles(join(folder, "dir.png"))).rejects.toMatchObject({ code: "out/is-folder" });
});
