import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { GenerateEvent } from "../../contract/events.ts";
import type { LoadOptions } from "../../contract/request.ts";
import { type MemoryHub, memoryHub, repositoryFiles } from "../../testing/memory-hub.ts";
import { cli, codeOf } from "../../testing/run-cli.ts";
import * as hubDoor from "../../weights/hub/index.ts";
import { asset } from "../asset.ts";
import type { CliTools } from "../run-cli.ts";
import type { CliIo } from "../terminal/io.ts";
import { MODEL_SETS, type ModelSet } from "./model-sets.ts";
import { addSetup } from "./setup.ts";

let folder: string;
let env: Record<string, string>;
let hub: MemoryHub;
let loaded: LoadOptions[];
let requested: unknown[];
let answers: (string | undefined)[];
let questions: string[];
const model = await repositoryFiles(asset("miniature"));
const weights = (value: number) => new Uint8Array(1000).fill(value);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "setup-"));
  env = { PHOTOMAKER_CONFIG: join(folder, "config", "settings.json"), HF_HUB_CACHE: join(folder, "hub") };
  [loaded, requested, answers, questions] = [[], [], [], []];
  hub = memoryHub({
    "SG161222/RealVisXL_V4.0": model,
    "stabilityai/stable-diffusion-xl-base-1.0": model,
    "TencentARC/PhotoMaker": { "photomaker-v1.bin": weights(1) },
    "TencentARC/PhotoMaker-V2": { "photomaker-v2.bin": weights(2) },
    "ByteDance/SDXL-Lightning": {
      "sdxl_lightning_4step_lora.safetensors": weights(3),
      "sdxl_lightning_8step_lora.safetensors": weights(4),
    },
    "latent-consistency/lcm-lora-sdxl": { "pytorch_lora_weights.safetensors": weights(5) },
    "madebyollin/taesdxl": { "config.json": weights(6), "diffusion_pytorch_model.safetensors": weights(7) },
  });
});
afterEach(() => rm(folder, { recursive: true }));

const tools = (): Partial<CliTools> => ({
  download: (id, options) => hubDoor.downloadModel(id, { ...options, fetch: hub.fetch }),
  hub: async () => hubDoor,
  byteSpeed: async () => 1e12,
  load: async (options) => {
    loaded.push(options);
    return {
      notices: [],
      async *generate(request): AsyncIterable<GenerateEvent> {
        requested.push(request);
        yield* [];
      },
      [Symbol.asyncDispose]: async () => {},
    };
  },
});
const run = (args: readonly string[], io: Partial<CliIo> = {}) => cli(args, tools(), { env, ...io });
/** Runs it where someone answers. */
const asked = (...args: string[]) =>
  run(args, {
    ask: async (question) => {
      questions.push(question);
      return answers.shift();
    },
  });
const settings = async () => JSON.parse(await readFile(env.PHOTOMAKER_CONFIG!, "utf8"));

test("one question, a download, and generate without --model uses the set", async () => {
  answers = ["9", "2"];
  const { code, out, err } = await asked("setup");
  expect(code, err).toBe(0);
  expect(questions).toHaveLength(2); // 9 is none of them
  for (const { name, licence } of MODEL_SETS) {
    expect(err).toContain(`${name}: `);
    expect(err).toContain(licence);
  }
  expect(err).toMatch(/realistic: .*\n.*7\.9 GB to download; about 12 min a picture on this processor; licence: CreativeML/);
  expect(out).toContain(`It is the default now, in ${env.PHOTOMAKER_CONFIG}`);
  expect((await settings()).default).toMatchObject({ set: "realistic", load: { model: "SG161222/RealVisXL_V4.0" } });
  expect((await readdir(join(folder, "hub"))).filter((name) => name.startsWith("models"))).toEqual([
    "models--SG161222--RealVisXL_V4.0",
    "models--TencentARC--PhotoMaker",
    "models--madebyollin--taesdxl",
  ]);

  const made = await run(["generate", "-p", "a man img", "-i", asset("clip/none.png"), "--lora", "style:0.5", "--out", folder]);
  expect(made.code, made.err).toBe(0);
  expect(made.err).toContain("No model is named: the default is taken, realistic (SG161222/RealVisXL_V4.0).");
  expect(loaded).toMatchObject([
    {
      model: "SG161222/RealVisXL_V4.0",
      adapter: "TencentARC/PhotoMaker:photomaker-v1.bin",
      loras: [{ path: "style", scale: 0.5 }],
    },
  ]);
  expect((await run(["generate", "-p", "a lake", "--json", "--out", folder])).out).toContain('"setup/default"');
  const before = hub.asked.length;
  await run(["generate", "-p", "a lake", "--out", folder]);
  expect(hub.asked.length).toBe(before);
  await rm(join(folder, "hub", "models--madebyollin--taesdxl"), { recursive: true });
  expect((await run(["generate", "-p", "a lake", "--out", folder])).err).toContain("1 of 1: madebyollin/taesdxl");
  hub.asked.length = before;
  expect((await run(["setup", "--set", "realistic"])).code).toBe(0); // nothing is missing, so nothing is asked
  expect(hub.asked.length).toBe(before);
});

test("flags win over the default; without a person its adapter is left out, and its LoRA stays", async () => {
  expect((await run(["setup", "--yes", "-q"])).code).toBe(0);
  await run(["generate", "-p", "a lighthouse", "--lora", "style", "--decoder", "vae", "--out", folder]);
  expect(loaded[0]).not.toHaveProperty("adapter");
  expect(loaded[0]!.loras.map(({ path }) => path)).toEqual([
    "ByteDance/SDXL-Lightning:sdxl_lightning_4step_lora.safetensors",
    "style",
  ]);
  expect(requested[0]).toMatchObject({ decoder: "vae" });
  await run(["generate", "-p", "a lighthouse", "--out", folder]);
  expect(requested[1]).toMatchObject({ decoder: "tiny-vae" });
  await run(["generate", "-p", "a lighthouse", "-m", "other.safetensors", "--out", folder]);
  expect(loaded[2]).toMatchObject({ model: "other.safetensors", loras: [] });
  const missing = await run(["generate", "-p", "a man img", "--json", "--out", folder]);
  expect(JSON.parse(missing.out).error.code).toBe("id-images/missing");
});

test("where nobody can answer it is refused, with the ways out; --yes and --set do without", async () => {
  const refused = await run(["setup"]);
  expect([refused.code, refused.out]).toEqual([1, ""]);
  expect(refused.err).toMatch(
    /there is no terminal\.\nwhat to do: Say it: photomaker setup --set quick --yes.*--list.*--set miniature/,
  );
  for (const args of [
    ["setup", "--set", "all-round", "--json"],
    ["setup", "--json"],
  ])
    expect(JSON.parse((await run(args)).out).error.code).toBe("setup/no-terminal");
  expect(hub.asked).toEqual([]);
  const { code, out } = await run(["setup", "--set", "All-round-quick", "--yes", "--json"]);
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ default: { set: "all-round-quick" }, settings: env.PHOTOMAKER_CONFIG });
  expect(JSON.parse((await run(["setup", "--set", "best", "--json"])).out).error.code).toBe("setup/unknown-set");
});

test("generate without a model: offers the sets to who can answer, and refuses elsewhere", async () => {
  const elsewhere = await run(["generate", "-p", "a man", "--out", folder]);
  expect(elsewhere.code).toBe(1);
  expect(elsewhere.err).toMatch(/--model is missing\.\nwhat to do: .*photomaker setup --set quick --yes.*setup --set miniature/);
  expect(JSON.parse((await asked("generate", "-p", "a man", "--json")).out).error.code).toBe("model/missing"); // nobody reads a question there
  expect(questions).toEqual([]);
  answers = ["miniature"];
  const { code, err } = await asked("generate", "-p", "a man", "--out", folder);
  expect(code, err).toBe(0);
  expect(err).toContain("No model is named, and none is the default yet.");
  expect(loaded).toMatchObject([{ model: asset("miniature") }]);
  expect(requested).toMatchObject([{ numInferenceSteps: 25, guidanceScale: 3, scheduler: "euler_a" }]);
  expect(hub.asked).toEqual([]);
  const json = await asked("generate", "-p", " ", "--json");
  expect(JSON.parse(json.out).error.code).toBe("prompt/empty");
  expect(questions).toHaveLength(1);
});

test("no, or the end of the input, chooses nothing", async () => {
  for (const answer of ["n", undefined]) {
    answers = [answer];
    const { code, err } = await asked("setup");
    expect([code, err]).toEqual([1, expect.stringContaining("No models were chosen, and nothing was downloaded.")]);
  }
  const program = (command: Command, io: CliIo) =>
    addSetup(command, { ...io, env, ask: async () => "none" }, tools() as CliTools);
  expect(await codeOf(program, ["setup"])).toBe("setup/not-chosen");
  answers = ["no"];
  expect((await asked("setup", "--set", "quick")).err).toContain("nothing was downloaded");
  expect(questions.at(-1)).toMatch(/^Download about 8\.3 GB under CreativeML Open RAIL\+\+-M.*\? \[Y\/n\] $/);
  expect(hub.asked).toEqual([]);
  answers = [""];
  expect((await asked("setup", "--set", "quick")).code).toBe(0);
});

test("Ctrl-C stops a download, no default is remembered, and the next run goes on", async () => {
  const stop = new AbortController();
  hub.answer = (path) => {
    if (!path.endsWith("photomaker-v1.bin")) return undefined;
    stop.abort(new DOMException("Stopped.", "AbortError"));
    return Promise.reject(stop.signal.reason);
  };
  const { code, err } = await run(["setup", "--set", "realistic", "--yes"], { signal: stop.signal });
  expect([code, err]).toEqual([130, expect.stringContaining("goes on where it ended")]);
  await expect(settings()).rejects.toMatchObject({ code: "ENOENT" });
  hub.answer = () => undefined;
  hub.asked.length = 0;
  expect((await run(["setup", "--set", "realistic", "--yes"])).code).toBe(0);
  expect(hub.asked.some((path) => path.includes("RealVis"))).toBe(false); // it is there already
});

test("a disk without room is refused before anything is downloaded", async () => {
  const huge: ModelSet = { ...MODEL_SETS[0]!, name: "huge", parts: [{ id: "org/huge", bytes: 1e18 }] };
  (MODEL_SETS as ModelSet[]).push(huge);
  try {
    const { out } = await run(["setup", "--set", "huge", "--yes", "--json"]);
    expect(JSON.parse(out).error).toMatchObject({ code: "disk/full", problem: expect.stringContaining(join(folder, "hub")) });
    expect(hub.asked).toEqual([]);
  } finally {
    (MODEL_SETS as ModelSet[]).pop();
  }
});

test("the default is shown, changed and forgotten, and other settings stay", async () => {
  expect((await run(["setup", "--show"])).out).toBe(`No default is chosen: photomaker setup.\n${env.PHOTOMAKER_CONFIG}\n`);
  await mkdir(join(folder, "config"));
  await writeFile(env.PHOTOMAKER_CONFIG!, '\ufeff{"theme": "dark"}');
  await run(["setup", "--set", "miniature"]);
  expect((await run(["setup", "--show"])).out).toContain(`miniature:\n  model ${asset("miniature")}\n`);
  expect(await settings()).toMatchObject({ theme: "dark", default: { set: "miniature" } });
  await run(["setup", "--set", "all-round", "--yes", "-q"]);
  expect(JSON.parse((await run(["setup", "--show", "--json"])).out).default.set).toBe("all-round");
  expect((await run(["setup", "--forget"])).out).toBe("The default is forgotten.\n");
  expect(await settings()).toEqual({ theme: "dark" });
  expect(JSON.parse((await run(["setup", "--forget", "--json"])).out)).toMatchObject({ forgotten: false });
  expect(JSON.parse((await run(["setup", "--forget", "--list", "--json"])).out).error.code).toBe("setup/given-twice");
});

test.each([
  ["{", /JSON/],
  ['{"default": {"set": 3}}', /string/],
  ["[]", /object/],
])("settings that are damaged are refused by name, before a download: %s", async (text, why) => {
  await mkdir(join(folder, "config"));
  await writeFile(env.PHOTOMAKER_CONFIG!, text);
  for (const args of [
    ["setup", "--yes"],
    ["setup", "--show"],
    ["setup", "--forget"],
    ["generate", "-p", "a"],
  ]) {
    const { code, out } = await run([...args, "--json"]);
    expect([code, JSON.parse(out).error]).toMatchObject([
      1,
      { code: "setup/settings-file", problem: expect.stringMatching(why) },
    ]);
  }
  expect(hub.asked).toEqual([]);
});

test("--list shows the sets, as JSON with bytes and seconds", async () => {
  const { out } = await run(["setup", "--list"]);
  expect(out).toContain("1  quick: ");
  expect(out).toMatch(/6 {2}miniature: .*\n {5}no download; a second or two a picture; licence: MIT\n/);
  const { sets } = JSON.parse((await run(["setup", "--list", "--json"])).out);
  expect(sets.map(({ name }: { name: string }) => name)).toEqual(MODEL_SETS.map(({ name }) => name));
  expect(sets[0]).toMatchObject({ bytes: 8.28e9, seconds: 34, load: { adapter: "TencentARC/PhotoMaker:photomaker-v1.bin" } });
});
