import { spawn } from "node:child_process";
import { once } from "node:events";
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
const stdout = { write: () => {} };

test("a folder is created, and numbering continues in it", async () => {
  const out = join(folder, "a", "b");
  const first = await openPictureFiles(out, stdout);
  expect(await first.write(png)).toBe(join(out, "image_0.png"));
  expect(await first.write(png)).toBe(join(out, "image_1.png"));
  await writeFile(join(out, "image_7.png"), "");
  const second = await openPictureFiles(out, stdout);
  expect(await second.write(png)).toBe(join(out, "image_8.png"));
  await second.writePreview(0, png);
  await second.writePreview(0, png);
  await second.tidy();
  expect((await readdir(out)).sort()).toEqual(["image_0.png", "image_1.png", "image_7.png", "image_8.png", "preview_0.png"]);
});

test("one file is replaced", async () => {
  const path = join(folder, "x.PNG");
  await writeFile(path, "old");
  expect(await (await openPictureFiles(path, stdout)).write(png)).toBe(path);
  expect([...(await readFile(path))]).toEqual([1]);
});

test("each format has its ending, and numbering continues after pictures of any format", async () => {
  for (const [format, name] of [
    ["jpeg", "image_0.jpg"],
    ["webp", "image_1.webp"],
    ["png", "image_2.png"],
  ] as const)
    expect(await (await openPictureFiles(folder, stdout, format)).write(png)).toBe(join(folder, name));
  const path = join(folder, "x.JPEG");
  expect(await (await openPictureFiles(path, stdout, "jpeg")).write(png)).toBe(path);
  await mkdir(join(folder, "dir.webp"));
  await expect(openPictureFiles(join(folder, "dir.webp"), stdout, "webp")).rejects.toMatchObject({ code: "out/is-folder" });
});

test("a folder created in vain is removed, and no other", async () => {
  await mkdir(join(folder, "old"));
  await (await openPictureFiles(join(folder, "old"), stdout)).tidy();
  await (await openPictureFiles(join(folder, "new", "er"), stdout)).tidy();
  expect(await readdir(folder)).toEqual(["old"]);
});

test("a place that cannot be written to is refused before the work", async () => {
  await writeFile(join(folder, "file"), "");
  await mkdir(join(folder, "dir.png"));
  await expect(openPictureFiles(join(folder, "file"), stdout)).rejects.toMatchObject({ code: "out/not-a-folder" });
  await expect(openPictureFiles(join(folder, "file", "x"), stdout)).rejects.toMatchObject({ code: "out/not-a-folder" });
  await expect(openPictureFiles(join(folder, "dir.png"), stdout)).rejects.toMatchObject({ code: "out/is-folder" });
});

test("two runs into one folder: each picture gets its own name, and none is lost", async () => {
  const [one, other] = [await openPictureFiles(folder, stdout), await openPictureFiles(folder, stdout)];
  const paths = await Promise.all(
    Array.from({ length: 40 }, (_, i) => (i % 2 ? one : other).write(Uint8Array.of(i)).then((path) => [path, i] as const)),
  );
  expect(new Set(paths.map(([path]) => path)).size).toBe(40);
  for (const [path, i] of paths) expect([...(await readFile(path))]).toEqual([i]);
  expect((await readdir(folder)).length).toBe(40); // no temporary file is left
});

test("two processes at once into one folder lose nothing", async () => {
  const url = JSON.stringify(new URL("./picture-files.ts", import.meta.url));
  const program = `const { openPictureFiles } = await import(${url});
    const [out, mine] = process.argv.slice(1);
    const files = await openPictureFiles(out, process.stdout);
    console.log("open");
    await new Promise((resolve) => process.stdin.once("data", resolve));
    for (let i = 0; i < 20; i++) console.log(await files.write(Buffer.from(mine)));
    process.exit();`;
  const runs = ["a", "b"].map((mine) =>
    spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program, folder, mine], {
      stdio: ["pipe", "pipe", "inherit"],
    }),
  );
  const texts = runs.map(() => "");
  for (const [i, run] of runs.entries()) run.stdout.on("data", (text: Buffer) => (texts[i] += text.toString()));
  const closed = Promise.all(runs.map((run) => once(run, "close")));
  await Promise.race([closed, Promise.all(runs.map((run) => once(run.stdout, "data")))]); // both have seen the empty folder
  for (const run of runs) run.stdin.write("go");
  await closed;
  for (const [i, mine] of ["a", "b"].entries()) {
    const paths = texts[i]!.trim().split("\n").slice(1);
    expect(paths).toHaveLength(20);
    for (const path of paths) expect(await readFile(path, "utf8")).toBe(mine);
  }
  expect((await readdir(folder)).sort()).toEqual(Array.from({ length: 40 }, (_, i) => `image_${i}.png`).sort());
});

test("a folder that another run removed when it gave up is created again", async () => {
  const out = join(folder, "out");
  const one = await openPictureFiles(out, stdout);
  const other = await openPictureFiles(out, stdout);
  await one.tidy();
  expect(await other.write(png)).toBe(join(out, "image_0.png"));
});

test("- means stdout, and is refused if that is a terminal", async () => {
  const written: unknown[] = [];
  const pipe = { write: (bytes: unknown) => written.push(bytes) };
  const files = await openPictureFiles("-", pipe);
  expect(await files.write(png)).toBe("-");
  await files.tidy();
  expect(written).toEqual([png]);
  await expect(openPictureFiles("-", { ...pipe, isTTY: true })).rejects.toMatchObject({ code: "out/terminal" });
});
