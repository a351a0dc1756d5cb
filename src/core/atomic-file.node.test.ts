import { accessSync } from "node:fs";
import { link, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { asDiskError, checkWritable, writeFileAtomically, writeUnderFreeName } from "./atomic-file.node.ts";

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  return { ...real, link: vi.fn(real.link) };
});

vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  return { ...real, accessSync: vi.fn(real.accessSync) };
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "atomic-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("the file appears complete, under its name only", async () => {
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
  ["EROFS", "disk/read-only"],
  ["EIO", "disk/failed"],
])("%s while writing is reported as %s and leaves the old file in place", async (system, code) => {
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

test("a folder that does not exist, and a folder where the file should be", async () => {
  await expect(writeFileAtomically(join(folder, "no", "a"), async () => {})).rejects.toMatchObject({ code: "disk/no-folder" });
  await mkdir(join(folder, "dir", "inner"), { recursive: true });
  await expect(writeFileAtomically(join(folder, "dir"), async () => {})).rejects.toMatchObject({ code: "disk/is-folder" });
  expect(await readdir(folder)).toEqual(["dir"]);
});

test("a fault of the program is passed on unchanged and leaves no file", async () => {
  const fault = new TypeError("ours");
  await expect(writeFileAtomically(join(folder, "a"), () => Promise.reject(fault))).rejects.toBe(fault);
  expect(await readdir(folder)).toEqual([]);
});

test("a folder that lacks below one in which nothing can be made: why not, since making it first would fail", () => {
  const missing = Object.assign(new Error("no such file"), { code: "ENOENT" });
  vi.mocked(accessSync).mockImplementation((path) => {
    if (path === folder) throw Object.assign(new Error("read only"), { code: "EROFS" });
    throw missing;
  });
  expect(asDiskError(missing, join(folder, "a", "b", "c"))).toMatchObject({ code: "disk/read-only" });
  vi.mocked(accessSync).mockReset();
  expect(asDiskError(missing, join(folder, "a", "b", "c"))).toMatchObject({ code: "disk/no-folder" });
});

test("whether a file can be written is known before the work", async () => {
  await writeFile(join(folder, "file"), "");
  await checkWritable(join(folder, "a"));
  await expect(checkWritable(join(folder, "no", "a"))).rejects.toMatchObject({ code: "disk/no-folder" });
  await expect(checkWritable(join(folder, "file", "a"))).rejects.toMatchObject({ code: "disk/not-a-folder" });
  await expect(checkWritable(folder)).rejects.toMatchObject({ code: "disk/is-folder" });
  expect(await readdir(folder)).toEqual(["file"]);
});

test("a file on the way to the name is named as what it is", async () => {
  await writeFile(join(folder, "file"), "");
  const path = join(folder, "file", "x", "a");
  await expect(writeFileAtomically(path, async () => {})).rejects.toMatchObject({
    code: "disk/not-a-folder",
    message: `${join(folder, "file")} cannot be a folder: there is a file of that name.`,
  });
  const system = Object.assign(new Error("not a directory"), { code: "ENOTDIR" });
  expect(asDiskError(system, path)).toMatchObject({ code: "disk/not-a-folder", cause: system });
});

const one = (value: number) => (sink: { write(bytes: Uint8Array): Promise<void> }) => sink.write(Uint8Array.of(value));

test.each([
  ["with", undefined],
  ["without", "EPERM"],
])("the first free name is taken and nothing replaced, on a disk %s hard links", async (_, refused) => {
  if (refused !== undefined) vi.mocked(link).mockRejectedValue(Object.assign(new Error("link"), { code: refused }));
  await writeFile(join(folder, "0"), "before");
  const numbered = (n: number): string => join(folder, `${n}`);
  const paths = await Promise.all([1, 2, 3].map((value) => writeUnderFreeName(numbered, one(value))));
  expect([...paths].sort()).toEqual(["1", "2", "3"].map((name) => join(folder, name)));
  for (const [i, path] of paths.entries()) expect([...(await readFile(path))]).toEqual([i + 1]);
  expect(await readFile(join(folder, "0"), "utf8")).toBe("before");
  const only = (n: number) => (n === 0 ? join(folder, "0") : undefined);
  await expect(writeUnderFreeName(only, one(9))).rejects.toMatchObject({ code: "disk/no-free-name" });
  expect((await readdir(folder)).sort()).toEqual(["0", "1", "2", "3"]);
  vi.mocked(link).mockReset();
});
