import { spawnSync } from "node:child_process";
import { access, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeFolder } from "./make-folder.node.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "make-folder-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("a folder with those above it, and which of them is the outermost", async () => {
  expect(await makeFolder(join(folder, "a", "b", "c"))).toBe(join(folder, "a"));
  expect(await makeFolder(join(folder, "a", "b", "d"))).toBe(join(folder, "a", "b", "d"));
  expect(await makeFolder(join(folder, "a", "b"))).toBeUndefined();
  expect((await readdir(folder, { recursive: true })).sort()).toEqual([
    "a",
    join("a", "b"),
    join("a", "b", "c"),
    join("a", "b", "d"),
  ]);
  expect(await makeFolder("/")).toBeUndefined();
  await mkdir(join(folder, "real"));
  await symlink("real", join(folder, "link"));
  expect(await makeFolder(join(folder, "link"))).toBeUndefined();
  expect(await makeFolder(relative(process.cwd(), join(folder, "rel")))).toBe(join(folder, "rel"));
});

test("many at once make one folder", async () => {
  await Promise.all(Array.from({ length: 50 }, () => makeFolder(join(folder, "a", "b"))));
  await access(join(folder, "a", "b"));
});

test("a file on the way is named, and nothing is made", async () => {
  await writeFile(join(folder, "file"), "");
  for (const path of [["file"], ["file", "x"], ["file", "x", "y"]])
    await expect(makeFolder(join(folder, ...path))).rejects.toMatchObject({
      code: "disk/not-a-folder",
      message: `${join(folder, "file")} cannot be a folder: there is a file of that name.`,
    });
  await symlink("nowhere", join(folder, "broken"));
  await expect(makeFolder(join(folder, "broken", "x"))).rejects.toMatchObject({ name: "UserError" });
  expect((await readdir(folder)).sort()).toEqual(["broken", "file"]);
});

// in a process of its own, since a thread that spins there would be ended by nothing else
test.skipIf(process.platform !== "linux")("where the system makes no folders, that is said, and soon", () => {
  const url = JSON.stringify(new URL("./make-folder.node.ts", import.meta.url));
  const program = `const { makeFolder } = await import(${url});
    for (const path of ["/proc/pictures", "/proc/pictures/of/me"])
      console.log(await makeFolder(path).then(() => "made", (error) => error.code));`;
  const { stdout } = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], {
    ...{ encoding: "utf8", timeout: 60_000, killSignal: "SIGKILL" },
  });
  expect(stdout.trim().split("\n")).toEqual(Array(2).fill("disk/no-folders-here"));
});

/** All of the program's own files: tests and makers of fixtures may do as they like. */
const sources = async (): Promise<string[]> => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const found = await Promise.all(
    ["src", "bench", "scripts"].map(async (name) => {
      const names = await readdir(join(root, name), { recursive: true });
      return names.map((each) => join(root, name, each));
    }),
  );
  return found.flat().filter((path) => /\.(ts|js)$/.test(path) && !/\.test\.ts$/.test(path));
};

test("nothing else makes folders, least of all by Node's recursive mkdir", async () => {
  const others: string[] = [];
  for (const path of await sources())
    if (!path.endsWith("make-folder.node.ts") && /\bmkdir(Sync)?\b/.test(await readFile(path, "utf8"))) others.push(path);
  expect(others).toEqual([]);
});
