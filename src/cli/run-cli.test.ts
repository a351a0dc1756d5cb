import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { GenerateEvent } from "../contract/events.ts";
import type { GenerateRequest, LoadOptions } from "../contract/request.ts";
import { UserError } from "../core/errors.ts";
import { decodePhoto, encodePng, readPictureSettings, rgb8 } from "../image/index.ts";
import { photoFormat } from "../image/photo-format.ts";
import { openTensors } from "../weights/open-tensors.node.ts";
import { ALL_FLAGS, longName } from "./generate/generate-flags.ts";
import { type CliTools, commandLine, runCli } from "./run-cli.ts";
import type { CliIo } from "./terminal/io.ts";

let folder: string;
let tools: CliTools;
let events: () => AsyncIterable<GenerateEvent> | Iterable<GenerateEvent>;
let loaded: LoadOptions[];
let requested: GenerateRequest[];
let disposed: number;
let interrupt: AbortController;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cli-"));
  [loaded, requested, disposed, interrupt] = [[], [], 0, new AbortController()];
  events = () => [progress(0), progress(1), notice, image(0), image(1), done];
  tools = {
    open: async () => {
      throw new Error("only the demo opens it so");
    },
    mini: () => Promise.reject(new Error("only training asks for it")),
    adapter: () => Promise.reject(new Error("only training asks for it")),
    load: async (options, { signal, onProgress }) => {
      loaded.push(options);
      expect(signal).toBe(interrupt.signal);
      onProgress?.({ phase: "download", repo: "org/m", file: "unet/model.safetensors", bytes: 1e9, total: 2e9 });
      return {
        notices: [],
        async *generate(request) {
          requested.push(request);
          yield* events();
        },
        [Symbol.asyncDispose]: async () => {
          disposed++;
        },
      };
    },
    download: async (id) => `/cache/${id}`,
    hub: () => import("../weights/hub/index.ts"),
    byteSpeed: async () => 1e12,
    cache: () => import("../runtime/node/prepare/cache-folder.ts"),
    describe: async (path) => ({
      path,
      kind: "lora",
      title: "a LoRA",
      format: "safetensors",
      components: [],
      metadata: {},
      missing: [],
      remarks: [],
    }),
    faces: () => import("./faces/look-at-files.ts"),
    world: () => import("./world/world-files.ts"),
  };
});
afterEach(() => rm(folder, { recursive: true }));

const progress = (step: number): GenerateEvent => ({ type: "progress", phase: "denoise", step, steps: 2, secondsLeft: 3 });
const notice: GenerateEvent = { type: "notice", notice: { code: "prompt/cut", message: "The words x are lost." } };
const image = (index: number): GenerateEvent => ({
  type: "image",
  index,
  png: Uint8Array.of(index),
  width: 8,
  height: 8,
  seed: 7,
  settings: { prompt: "a" },
});
const done: GenerateEvent = {
  type: "done",
  modelMemory: 1e9,
  seed: 7,
  timings: { load: {}, encode: 1, evaluations: [1, 2], decode: 1, total: 5 },
  latents: { initialNoise: Float32Array.of(1, 2, 3, 4), final: Float32Array.of(5, 6, 7, 8), dims: [1, 4, 1, 1] },
};

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const stdout = { write: (text: string) => (out += text) };
  const stderr = { write: (text: string) => (err += text) };
  const code = await runCli(
    args,
    { stdout, stderr, env: {}, signal: interrupt.signal, now: () => 0, peakMemory: () => 2e9 },
    tools,
  );
  return { code, out, err };
}
const generate = (...args: string[]) => run("generate", "-m", "m", "-p", "a", "--out", join(folder, "out"), ...args);

test("generate writes the pictures and prints their paths; the rest goes to stderr", async () => {
  const { code, out, err } = await generate("--lora", "l:2");
  expect(code).toBe(0);
  expect(out).toBe(`${join(folder, "out", "image_0.png")}\n${join(folder, "out", "image_1.png")}\n`);
  expect([...(await readFile(join(folder, "out", "image_1.png")))]).toEqual([1]);
  expect(err).toContain("download 1.0 GB of 2.0 GB\n");
  expect(err).toContain("denoise 0/2, 3 s left\n");
  expect(err).toContain("note: The words x are lost.\n");
  expect(err).toContain("--seed 7");
  expect(loaded).toMatchObject([{ model: "m", loras: [{ path: "l", scale: 2 }] }]);
  expect(disposed).toBe(1);
});

test("pictures are written as JPEG and WebP with their settings, to stdout too", async () => {
  const settings = { prompt: "a", seed: 7 };
  const png = await encodePng(rgb8(2, 1, Uint8Array.of(9, 9, 9, 200, 0, 0)), { parameters: "a\nSteps: 2", settings });
  events = () => [{ ...image(0), png } as GenerateEvent, done];
  const { code, out } = await run("generate", "-m", "m", "-p", "a", "--out", folder, "--format", "jpeg", "-q");
  expect([code, out]).toEqual([0, `${join(folder, "image_0.jpg")}\n`]);
  const jpeg = await readFile(join(folder, "image_0.jpg"));
  expect(photoFormat(jpeg)).toBe("JPEG");
  expect(await readPictureSettings(jpeg)).toEqual({ parameters: "a\nSteps: 2", settings });
  const written: Uint8Array[] = [];
  const io: CliIo = {
    env: {},
    signal: interrupt.signal,
    now: () => 0,
    peakMemory: () => 0,
    stderr: { write: () => {} },
    stdout: { write: (bytes) => written.push(bytes as Uint8Array) },
  };
  expect(await runCli(["generate", "-m", "m", "-p", "a", "--out", "-", "--format", "webp", "--lossless"], io, tools)).toBe(0);
  expect(await readPictureSettings(written[0]!)).toEqual({ parameters: "a\nSteps: 2", settings });
  expect(photoFormat(written[0]!)).toBe("WebP");
  expect((await decodePhoto(written[0]!)).data).toEqual(Uint8Array.of(9, 9, 9, 200, 0, 0));
});

test("--list-styles shows styles, all or those with a word, and loads nothing", async () => {
  const { code, out } = await run("generate", "--list-styles", "brush");
  expect([code, loaded.length]).toEqual([0, 0]);
  expect(out).toMatch(/^Oil painting +oil painting of \{prompt\}.*\n$/);
  expect((await run("generate", "--list-styles")).out).toContain("Disney Charactor");
});

test("--prompts draws every line on one loaded model, with a line for each", async () => {
  const list = join(folder, "list.txt");
  await writeFile(list, "\ufeffa cat\r\n\r\na dog\r\n", "utf16le");
  const args = ["generate", "-m", "m", "--out", join(folder, "out"), "--prompts", list];
  const { code, out, err } = await run(...args);
  expect(code).toBe(0);
  expect(out.trim().split("\n")).toHaveLength(4);
  expect(err).toContain("prompt 1/2: a cat\n");
  expect(err).toContain("prompt 2/2: a dog\n");
  expect([loaded.length, disposed]).toEqual([1, 1]);
  expect(loaded).toMatchObject([{ unloadAfterUse: false }]);

  const json = await run(...args, "--json");
  expect(json.err).toBe("");
  expect(
    json.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toMatchObject([
    { line: 1, prompt: "a cat", seed: 7, images: [{ index: 0 }, { index: 1 }] },
    { line: 3, prompt: "a dog", seed: 7 },
  ]);
});

test("--json prints one object and nothing else", async () => {
  const { code, out, err } = await generate("--json", "--save-latents", join(folder, "l.safetensors"));
  expect([code, err]).toEqual([0, ""]);
  const result = JSON.parse(out);
  expect(result.images).toEqual(
    [0, 1].map((index) => ({
      path: join(folder, "out", `image_${index}.png`),
      index,
      width: 8,
      height: 8,
      seed: 7,
      settings: { prompt: "a" },
    })),
  );
  expect(result).toMatchObject({
    seed: 7,
    timings: { total: 5 },
    notices: [{ code: "prompt/cut" }],
    latents: join(folder, "l.safetensors"),
  });
  expect([...(await openTensors(join(folder, "l.safetensors"))).tensors.keys()]).toContain("initial_noise");
});

test("previews are written beside the pictures", async () => {
  events = () => [{ type: "preview", step: 0, images: [Uint8Array.of(9)] }, image(0), done];
  await generate("--preview");
  expect(requested[0]!.preview).toBe(true);
  expect((await readdir(join(folder, "out"))).sort()).toEqual(["image_0.png", "preview_0.png"]);
});

test("--out - writes one picture and nothing else to stdout; what stdout cannot take is refused", async () => {
  events = () => [progress(0), image(0), done];
  const bytes: unknown[] = [];
  const err: string[] = [];
  const io = {
    stdout: { write: (some: unknown) => bytes.push(some) },
    stderr: { write: (text: string) => err.push(text) },
    env: {},
    signal: interrupt.signal,
    now: () => 0,
    peakMemory: () => 0,
  };
  expect(await runCli(["generate", "-m", "m", "-p", "a", "-o", "-"], io, tools)).toBe(0);
  expect(bytes).toEqual([Uint8Array.of(0)]);
  expect(err.join("")).toContain("--seed 7");
  const refusal = async (...args: string[]) => JSON.parse((await run(...args, "--json")).out).error.code;
  expect(await refusal("generate", "-m", "m", "-p", "a", "-o", "-")).toBe("out/json");
  expect(await refusal("generate", "-m", "m", "-p", "a", "--save-latents", "-")).toBe("out/stdout");
  expect(await refusal("download", "a/b", "--cache", "-")).toBe("out/stdout");
  const told = async (...args: string[]) => (await run("generate", "-m", "m", "-p", "a", "-o", "-", ...args)).err;
  expect(await told("--num-images", "2")).toContain("--out is stdout, but 2 pictures are requested");
  expect(await told("--preview")).toContain("takes one picture");
  expect(await told("--save-latents", "-")).toContain("latents are not written to stdout");
  for (const args of [
    ["world", "render", "-o", "-"],
    ["train", "mini", "-o", "-"],
    ["train", "adapter", "-m", "m", "-d", "d", "-o", "-"],
    ["train", "ablations", "-o", "-"],
    ["evaluate", "mini", "--samples", "-"],
    ["download", "a/b", "--cache", "-"],
  ])
    expect((await run(...args)).err, args.join(" ")).toContain('"-" stands for stdout');
});

const broken = (error: unknown) =>
  async function* (): AsyncGenerator<GenerateEvent> {
    yield progress(0);
    throw error;
  };

test("a user error: two lines, exit code 1, nothing left behind", async () => {
  events = broken(new UserError("prompt/trigger-missing", "The prompt has no trigger word.", "Put it in."));
  const { code, out, err } = await generate("-q");
  expect([code, out, err]).toEqual([1, "", "error: The prompt has no trigger word.\nwhat to do: Put it in.\n"]);
  expect(await readdir(folder)).toEqual([]);
  expect(disposed).toBe(1);
  expect(JSON.parse((await generate("--json")).out)).toEqual({
    error: { code: "prompt/trigger-missing", problem: "The prompt has no trigger word.", remedy: "Put it in." },
  });
});

test("an internal error: exit code 70, the stack, and where to report it", async () => {
  events = broken(new TypeError("x is undefined"));
  const { code, err } = await generate();
  expect(code).toBe(70);
  expect(err).toMatch(/error: Internal error: x is undefined\nwhat to do: This is a bug .*\nTypeError: x is undefined\n +at /);
  expect(await readdir(folder)).toEqual([]);
});

test("Ctrl-C: exit code 130, finished pictures stay, no unfinished one", async () => {
  events = async function* () {
    yield image(0);
    interrupt.abort(new DOMException("Stopped.", "AbortError"));
    throw interrupt.signal.reason;
  };
  const { code, err } = await generate("-q");
  expect([code, err]).toEqual([
    130,
    "error: Stopped. Nothing unfinished was written.\nwhat to do: Run the command again when you are ready.\n",
  ]);
  expect(await readdir(join(folder, "out"))).toEqual(["image_0.png"]);
  interrupt = new AbortController();
  tools = {
    ...tools,
    download: async () => {
      interrupt.abort();
      throw new UserError("download/interrupted", "The download of a/b was stopped.", "Run it again: it goes on.");
    },
  };
  const stopped = await run("download", "a/b", "--json");
  expect([stopped.code, JSON.parse(stopped.out).error.code]).toEqual([130, "download/interrupted"]);
});

test.each([
  [["generate", "--promt", "a"], /unknown option '--promt'\.\nwhat to do: Did you mean --prompt\? See --help\./],
  [["draw"], /unknown command 'draw'/],
  [["download"], /missing required argument 'id'/],
  [["inspect", "a", "b"], /too many arguments/],
  [["generate", "--prompt"], /argument missing/],
])("%j is wrong usage: exit code 2", async (args, words) => {
  const { code, out, err } = await run(...args);
  expect([code, out]).toEqual([2, ""]);
  expect(err).toMatch(words);
  const json = await run(args[0]!, "--json", ...args.slice(1)); // after --prompt it would be the prompt
  expect(json.code).toBe(2);
  expect(JSON.parse(json.out).error.code).toMatch(/^usage\//);
});

test.each([
  [["draw", "--help"], "draw", "The commands are"],
  [["--help", "draw"], "draw", "The commands are"],
  [["help", "draw"], "draw", "The commands are"],
  [["generat", "-h"], "generat", "Did you mean generate?"],
  [["world", "rendr", "--help"], "rendr", "Did you mean render?"],
  [["help", "train", "adaptor"], "adaptor", "Did you mean adapter?"],
  [["cache", "help", "drop"], "drop", "The commands are list, clear, prepare."],
])("%j: an unknown command is refused even with --help", async (args, name, hint) => {
  const { code, out, err } = await run(...args);
  expect([code, out]).toEqual([2, ""]);
  expect(err).toContain(`error: unknown command '${name}'.\nwhat to do: ${hint}`);
});

test("help before a command shows that command's help", async () => {
  for (const [args, usage] of [
    [["help", "train", "mini"], "Usage: photomaker train mini "],
    [["train", "help", "mini"], "Usage: photomaker train mini "],
    [["help"], "Usage: photomaker "],
    [["generate", "--help"], "Usage: photomaker generate "],
  ] as const) {
    const { code, out } = await run(...args);
    expect([code, out.startsWith(usage)], args.join(" ")).toEqual([0, true]);
  }
  expect((await generate("-p", "help")).code).toBe(0); // a prompt is not a command
});

/** The names of all commands, those of groups included. */
const commandNames = (command: Command, before: readonly string[] = []): (readonly string[])[] =>
  command.commands.flatMap((each) => [[...before, each.name()], ...commandNames(each, [...before, each.name()])]);

test("the help of every command has an example, and no default such as [] or {}", async () => {
  const io = { stdout: { write: () => {} }, stderr: { write: () => {} } } as unknown as CliIo;
  const all = commandNames(commandLine(io, tools));
  expect(all.length).toBeGreaterThan(15);
  for (const names of [[], ...all]) {
    const { code, out } = await run(...names, "--help");
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`^Examples:\\n( +.*\\n)* {2}${["photomaker", ...names].join(" ")}`, "m"));
    expect(out).not.toMatch(/default: (\[\]|\{\}|undefined|null|"")/);
  }
});

test("no command: the help, and exit code 2", async () => {
  const { code, out, err } = await run();
  expect([code, out]).toEqual([2, ""]);
  expect(err).toContain("photomaker generate");
});

test("help lists every flag, and --version prints the version", async () => {
  const { code, out } = await run("generate", "--help");
  expect(code).toBe(0);
  for (const flag of [...ALL_FLAGS.map(longName), "--config"]) expect(out).toMatch(new RegExp(`(^|[ ,])${flag}[ ,\n]`, "m"));
  expect(out).toMatch(/--start-merge-step -1 +the person from the first step on/);
  expect((await run("--version")).out).toMatch(/^\d+\.\d+\.\d+/);
  for (const command of ["download", "inspect"]) expect((await run(command, "--help")).out).toContain("Examples:");
});

test("download and inspect", async () => {
  expect(await run("download", "org/name@v1", "--file", "a.bin", "-q")).toEqual({
    code: 0,
    out: "/cache/org/name@v1:a.bin\n",
    err: "",
  });
  expect(JSON.parse((await run("download", "org/name", "--json")).out)).toEqual({ path: "/cache/org/name" });
  expect((await run("download", "org/name:b.bin", "--file", "a.bin")).code).toBe(1);
  expect((await run("inspect", "x.safetensors")).out).toContain("a LoRA");
  expect(JSON.parse((await run("inspect", "x.safetensors", "--json")).out)).toMatchObject({ kind: "lora" });
});

test("an unbuilt copy says so", async () => {
  await mkdir(join(folder, "bin"));
  await writeFile(join(folder, "bin", "photomaker.mjs"), await readFile(resolve("bin/photomaker.js")));
  const { status, stderr } = spawnSync(process.execPath, [join(folder, "bin", "photomaker.mjs")], { encoding: "utf8" });
  expect([status, stderr]).toEqual([1, expect.stringContaining("npm run build")]);
});
