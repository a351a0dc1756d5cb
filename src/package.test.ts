import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../", import.meta.url));
const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8"));

/** A project that has the package as npm would have put it there: the packed files and nothing else of this folder. */
let project: string;
let files: string[];
beforeAll(async () => {
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  const { stdout } = await run(npm, ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: root, shell: npm === "npm.cmd" });
  const [packed] = Object.values(JSON.parse(stdout)) as { files: { path: string }[] }[];
  files = packed!.files.map(({ path }) => path);
  project = await mkdtemp(join(tmpdir(), "package-"));
  const installed = join(project, "node_modules", manifest.name);
  for (const path of files) {
    await mkdir(dirname(join(installed, path)), { recursive: true });
    await cp(join(root, path), join(installed, path));
  }
  for (const [at, what] of [
    [join(installed, "node_modules"), ""],
    [join(project, "node_modules/@types"), "@types"],
  ])
    await symlink(join(root, "node_modules", what!), at!, "junction");
});
afterAll(() => rm(project, { recursive: true, force: true }));

test("the package has what it needs, and no tests", () => {
  const needed = ["LICENSE", "NOTICE.md", "README.md", "assets/clip/merges.txt", "dist/runtime/node/ort-process.js"];
  for (const path of [...needed, "assets/miniature/photomaker-v1.safetensors", "dist/runtime/node/training/training-worker.js"])
    expect(files).toContain(path);
  expect(files.filter((path) => /\.test\.|testing\/|^src\/|^scripts\//.test(path))).toEqual([]);
});

test("every entry point and command is among the packed files", () => {
  const targets = [
    ...Object.values(manifest.exports).flatMap((entry) => Object.values(entry as object)),
    ...Object.values(manifest.bin),
  ];
  expect(targets.length).toBeGreaterThan(2);
  for (const target of targets) expect(files).toContain((target as string).replace("./", ""));
});

test("no dependency's install script runs: onnxruntime-node's would fetch CUDA libraries", async () => {
  const { packages } = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8"));
  expect(manifest.allowScripts).toMatchObject({ "onnxruntime-node": false, esbuild: false });
  expect(packages["node_modules/onnxruntime-node"]).not.toHaveProperty("hasInstallScript"); // for npm that does not know allowScripts
});

test("the command runs on the packed files", async () => {
  const bin = join(project, "node_modules", manifest.name, manifest.bin.photomaker);
  const { stdout } = await run(process.execPath, [bin, "demo", "--quiet", "--out", "demo.png"], { cwd: project });
  expect(stdout).toContain("demo.png");
  expect((await readFile(join(project, "demo.png"))).length).toBeGreaterThan(1000);
});

test("the README's program runs on the packed files, and its types are right", async () => {
  const readme = await readFile(join(root, "README.md"), "utf8");
  const fixture = (name: string): string => join(root, "fixtures", name).replaceAll("\\", "/");
  const program = /```js\n([\s\S]+?)```/
    .exec(readme)![1]!
    .replace("SG161222/RealVisXL_V4.0", fixture("tiny-sdxl"))
    .replace("TencentARC/PhotoMaker", fixture("tiny-photomaker-v1.safetensors"))
    .replace("me1.jpg", fixture("photos/person_0.png"))
    .replace("me2.jpg", fixture("photos/person_1.png"));
  await writeFile(join(project, "program.mjs"), program);
  const { stdout } = await run(process.execPath, ["program.mjs"], { cwd: project });
  expect(stdout).toMatch(/denoise 50\/50/);
  for (const name of ["astronaut-0.png", "watercolor.png"])
    expect((await readFile(join(project, name))).length).toBeGreaterThan(1000);

  // a type that is wrong must be seen, or this would show nothing
  const wrong = "// @ts-expect-error\nconst width: string = images[0]!.width;\nvoid width;\n";
  await writeFile(join(project, "program.mts"), program.replace("await pm.close();", `${wrong}await pm.close();`));
  const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--types", "node"];
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const checked = await run(process.execPath, [tsc, ...options, "program.mts"], { cwd: project }).catch(
    (error: unknown) => error,
  );
  expect(checked).toMatchObject({ stdout: "" });
  expect(checked).not.toBeInstanceOf(Error);
});
