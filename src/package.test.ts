import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type BuildOptions, build } from "esbuild";
import ts from "typescript";
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
  // what npm init -y writes, of which the type is what matters here
  await writeFile(join(project, "package.json"), JSON.stringify({ name: "project", version: "1.0.0", type: "commonjs" }));
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
    ...Object.values(manifest.exports).flatMap((entry) => (typeof entry === "string" ? [entry] : Object.values(entry as object))),
    ...Object.values(manifest.bin),
  ];
  expect(targets.length).toBeGreaterThan(2);
  for (const target of targets) expect(files).toContain((target as string).replace("./", ""));
});

/** The folders of src that are doors of their own, and by which name. */
const DOORS = { ".": "index", "./samplers": "samplers/index", "./tokenizer": "text/index.node", "./weights": "weights/index" };

test("the doors are those that are meant, and each gives what its index exports, by import and by require", async () => {
  const { "./package.json": own, ...doors } = manifest.exports;
  expect(own).toBe("./package.json");
  expect(Object.keys(doors)).toEqual(Object.keys(DOORS));
  const program = `const names = [];
    for (const door of ${JSON.stringify(Object.keys(DOORS))}) {
      const name = door.replace(".", "photomaker");
      names.push([Object.keys(await import(name)).sort(), Object.keys(require(name)).filter((k) => k !== "__esModule" && k !== "module.exports").sort()]);
    }
    console.log(JSON.stringify(names));`;
  await writeFile(join(project, "doors.cjs"), `(async () => { ${program} })();`);
  const { stdout } = await run(process.execPath, ["doors.cjs"], { cwd: project });
  const given = JSON.parse(stdout) as [string[], string[]][];
  for (const [i, file] of Object.values(DOORS).entries()) {
    const index = Object.keys(await import(/* @vite-ignore */ join(root, "src", `${file}.ts`))).sort();
    expect(index.length).toBeGreaterThan(3);
    expect(given[i]).toEqual([index, index]);
  }
});

test("each door gives the types of all that its values take and return", () => {
  const files = Object.values(DOORS).map((file) => join(root, "dist", `${file}.d.ts`));
  const { NodeNext: module } = ts.ModuleKind;
  const { NodeNext: moduleResolution } = ts.ModuleResolutionKind;
  const program = ts.createProgram(files, { module, moduleResolution, skipLibCheck: true, types: ["node"] });
  const checker = program.getTypeChecker();
  const real = (symbol: ts.Symbol): ts.Symbol =>
    symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  for (const file of files) {
    const given = new Set(checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file)!)!).map(real));
    const missing = new Set<string>();
    const visit = (node: ts.Node): void => {
      const name = ts.isTypeReferenceNode(node)
        ? node.typeName
        : ts.isExpressionWithTypeArguments(node)
          ? node.expression
          : undefined;
      const symbol = name && checker.getSymbolAtLocation(name);
      const declared = symbol && real(symbol).declarations?.[0];
      if (declared !== undefined && !ts.isTypeParameterDeclaration(declared) && !given.has(real(symbol!)))
        if (declared.getSourceFile().fileName.includes("/dist/")) missing.add(symbol!.name);
      ts.forEachChild(node, visit);
    };
    for (const { declarations = [] } of given) for (const declaration of declarations) visit(declaration);
    expect(given.size).toBeGreaterThan(10);
    expect([...missing], file).toEqual([]);
  }
});

test("where require cannot load ES modules, it says what to write instead", async () => {
  await writeFile(
    join(project, "old.cjs"),
    'try { require("photomaker"); } catch (error) { console.log(error.code, error.remedy); }',
  );
  const { stdout } = await run(process.execPath, ["--no-experimental-require-module", "old.cjs"], { cwd: project });
  expect(stdout).toMatch(/^package\/commonjs In CommonJS write: .*await import\("photomaker"\)/);
});

test("a bundled program is told that the package's files were left behind, and what to mark", async () => {
  const program = `import { PhotoMaker } from "photomaker";
    PhotoMaker.load({ model: ${JSON.stringify(join(root, "fixtures", "tiny-sdxl"))} })
      .then((pm) => pm.generate({ prompt: "a cat", width: 64, height: 64, numInferenceSteps: 1 }))
      .then(() => console.log("drawn"), ({ code, remedy }) => console.log(code, remedy))
      .then(() => process.exit());`;
  await writeFile(join(project, "bundled.mjs"), program);
  const bundle = async (outfile: string, external: string[]) => {
    const common: BuildOptions = { entryPoints: [join(project, "bundled.mjs")], bundle: true, platform: "node", format: "esm" };
    const banner = {
      js: 'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);',
    };
    await build({ ...common, outfile: join(project, outfile), external, banner, logLevel: "silent" });
    return (await run(process.execPath, [outfile], { cwd: project })).stdout;
  };
  const packages = ["onnxruntime-node", "sharp", "@resvg/resvg-js", "@huggingface/hub"];
  // there it finds these packages, as a server's bundle does
  const beside = join("node_modules", manifest.name, "with-everything.mjs");
  const told = await bundle(beside, packages);
  expect(told.split(" ")[0]).toBe("package/bundled");
  expect(told).toContain("--external:photomaker");
  expect(await bundle("as-told.mjs", ["photomaker"])).toBe("drawn\n");
});

test("the examples of docstrings print what they say", async () => {
  const found: string[] = [];
  for (const file of [
    "samplers/create-sampler.ts",
    "text/trigger.ts",
    "weights/describe.node.ts",
    "contract/request-from-settings.ts",
  ]) {
    const text = await readFile(join(root, "src", file), "utf8");
    for (const [, block] of text.matchAll(/ \* @example\n \* ```js\n([\s\S]+?) \* ```/g)) {
      const program = block!
        .replaceAll(/^ \* ?/gm, "")
        .replaceAll("model.safetensors", join(root, "fixtures/tiny-photomaker-v1.safetensors"));
      const said = [...program.matchAll(/^console\.log\(.*\); \/\/ (.*)$/gm)].map(([, line]) => line!);
      expect(said.length, file).toBeGreaterThan(0);
      await writeFile(join(project, "example.mjs"), program);
      const { stdout } = await run(process.execPath, ["example.mjs"], { cwd: project });
      expect(stdout.trim().split("\n"), file).toEqual(said);
      found.push(file);
    }
  }
  expect(found).toHaveLength(4);
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
