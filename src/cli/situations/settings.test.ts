import { readFile } from "node:fs/promises";
import sharp from "sharp";
import { expect, test } from "vitest";
import { readPngChunks, writePngChunks } from "../../image/png-chunks.ts";
import { readPngSettings, withPngSettings } from "../../image/png-settings.ts";
import { levelsApart, picturePixels, Situation } from "../../testing/situation.ts";

const here = Situation.forTests();

test("a seed of 64 bits is taken, shown and stored as it was given", async () => {
  for (const seed of ["18446744073709551615", "9007199254740993"]) {
    const { path, settings } = await here.drawn("--seed", seed, "--steps", "1");
    const { parameters, settings: stored } = readPngSettings(await readFile(path));
    expect([settings.seed, (stored as { seed: unknown }).seed]).toEqual([seed, seed]);
    expect(parameters).toContain(`Seed: ${seed}`);
  }
  const config = await here.write("seed.json", '{"prompt": "a cat", "seed": 18446744073709551615}');
  expect((await here.drawn("--config", config)).settings.seed).toBe("18446744073709551615");
  for (const seed of ["-1", "18446744073709551616", "1.5", "abc"])
    expect((await here.refused("--seed", seed)).problem, seed).toContain("--seed");
});

test("one picture of several is made again by its own PNG", async () => {
  const { code } = await here.run(
    ...["generate", "--model", here.model, "--prompt", "a cat", "--num-images", "2"],
    ...["--width", "64", "--height", "64", "--steps", "2", "--seed", "1", "--out", here.path("two")],
  );
  expect(code).toBe(0);
  const again = await here.drawn("--config", here.path("two", "image_1.png"));
  expect([...again.pixels]).toEqual([...(await picturePixels(here.path("two", "image_1.png")))]);
});

test("clip skip beyond the layers is refused with the most, which draws", async () => {
  const { code, problem, remedy } = await here.refused("--clip-skip", "8");
  expect([code, problem]).toEqual(["clip-skip/out-of-range", expect.stringMatching(/--clip-skip.*3 and 4 layers/)]);
  const most = /Take (\d+)/.exec(remedy)![1]!;
  await here.drawn("--clip-skip", most);
});

test("options from a file that Windows wrote", async () => {
  const text = JSON.stringify({ prompt: "a cät", numInferenceSteps: 2 });
  const utf16 = Buffer.from(text, "utf16le");
  const files = [
    Buffer.from(text),
    Buffer.from(`\ufeff${text}`),
    Buffer.concat([Buffer.of(0xff, 0xfe), utf16]),
    Buffer.concat([Buffer.of(0xfe, 0xff), Buffer.from(utf16).swap16()]),
  ];
  const pictures = [];
  for (const [i, bytes] of files.entries())
    pictures.push(await here.drawn("--config", await here.write(`${i}.json`, bytes), "--seed", "1"));
  for (const picture of pictures) expect(levelsApart(picture, pictures[0]!)).toBe(0);
  const path = await here.write("path.json", '{"prompt": "a cat", "model": "C:\\models\\x"}');
  expect(await here.refused("--config", path)).toMatchObject({ code: "config/not-json", remedy: expect.stringContaining("C:/") });
});

const blank = () =>
  sharp({ create: { width: 8, height: 8, channels: 3, background: "white" } })
    .png()
    .toBuffer();

/** A PNG with texts of another program. */
async function pngWith(name: string, texts: Readonly<Record<string, string>>): Promise<string> {
  const [header, ...rest] = readPngChunks(await blank());
  const chunks = Object.entries(texts).map(([keyword, text]) => ({
    type: "tEXt",
    data: Buffer.from(`${keyword}\0${text}`, "latin1"),
  }));
  return here.write(name, writePngChunks([header!, ...chunks, ...rest]));
}

const node = (class_type: string, inputs: object) => ({ class_type, inputs });
const GRAPH = {
  4: node("CheckpointLoaderSimple", { ckpt_name: "xl\\base.safetensors" }),
  10: node("Power Lora Loader (rgthree)", { lora_1: { on: true, lora: "a/detail.safetensors", strength: 0.6 }, model: ["4", 0] }),
  5: node("EmptyLatentImage", { width: 128, height: 72, batch_size: 1 }),
  6: node("CLIPTextEncodeSDXL", { text_g: "a cat, oil painting", text_l: "a cat", clip: ["4", 1] }),
  7: node("CLIPTextEncode", { text: "bad", clip: ["4", 1] }),
  13: node("KSamplerSelect", { sampler_name: "euler_ancestral" }),
  14: node("BasicScheduler", { scheduler: "normal", steps: 3, denoise: 1, model: ["10", 0] }),
  15: node("RandomNoise", { noise_seed: 88 }),
  16: node("CFGGuider", { cfg: 6, model: ["10", 0], positive: ["6", 0], negative: ["7", 0] }),
  3: node("SamplerCustomAdvanced", {
    noise: ["15", 0],
    guider: ["16", 0],
    sampler: ["13", 0],
    sigmas: ["14", 0],
    latent_image: ["5", 0],
  }),
};

test("ComfyUI's graph with a node for each part of the sampler, and a LoRA that is not at hand", async () => {
  const broken = JSON.stringify(GRAPH).replace("{", '{"99": {"class_type": "Note", "inputs": {}, "is_changed": [NaN]}, ');
  const { settings, messages, notices } = await here.drawn("--config", await pngWith("comfy.png", { prompt: broken }));
  expect(notices).toContain("config/lora-lost");
  expect(settings).toMatchObject({
    ...{ prompt: "a cat", prompt2: "a cat, oil painting", negativePrompt: "bad" },
    ...{ seed: 88, guidanceScale: 6, scheduler: "euler_a" },
  });
  expect(messages.join("\n")).toMatch(/made by ComfyUI.*left out. Give it with --lora detail\.safetensors:0\.6/s);
});

test("SwarmUI's parameters are read, and where no prompt is found the picture still gives the rest", async () => {
  const sui_image_params = {
    prompt: "a cat",
    negativeprompt: "bad",
    seed: 5,
    steps: 3,
    cfgscale: 7,
    sampler: "euler",
    model: "X",
  };
  const swarm = await pngWith("swarm.png", { parameters: JSON.stringify({ sui_image_params }) });
  expect((await here.drawn("--config", swarm)).settings).toMatchObject({
    prompt: "a cat",
    negativePrompt: "bad",
    seed: 5,
    guidanceScale: 7,
  });
  const lost = await pngWith("lost.png", { prompt: JSON.stringify({ ...GRAPH, 6: node("Wildcard", { list: ["7", 0] }) }) });
  const { code, remedy } = await here.refused("--config", lost);
  expect([code, remedy]).toEqual(["config/no-prompt", expect.stringContaining("--prompt")]);
  expect((await here.drawn("--config", lost, "--prompt", "a dog")).settings).toMatchObject({ prompt: "a dog", seed: 88 });
});

test("a picture of A1111 is drawn with its settings; its LoRA is named, and found in a folder", async () => {
  const parameters =
    "a cat <lora:detail:0.5>\nNegative prompt: ugly\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 123, Size: 64x64, Denoising strength: 0.4";
  const path = await here.write("a1111.png", withPngSettings(await blank(), { parameters }));
  const { settings, messages } = await here.drawn("--config", path);
  expect(settings).toMatchObject({ negativePrompt: "ugly", seed: 123, scheduler: "dpmpp_2m_karras", guidanceScale: 7 });
  expect(messages.join("\n")).toMatch(/Denoising strength: 0\.4.*--lora detail\.safetensors:0\.5/s);
});

/** Lines of JSON, one for each prompt. */
async function list(name: string, content: string | Uint8Array, ...more: string[]) {
  const prompts = await here.write(name, content);
  const out = here.path(`list-${name}`);
  const flags = ["--model", here.model, "--width", "64", "--height", "64", "--steps", "1", "--seed", "1", "--out", out];
  const { code, out: text } = await here.run("generate", "--json", "--prompts", prompts, ...flags, ...more);
  return {
    code,
    lines: text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  };
}

test.each<[string, string | Uint8Array]>([
  ["a.txt", "# two animals\na cat\n\n  a dog  \r\n"],
  ["b.txt", Buffer.concat([Buffer.of(0xff, 0xfe), Buffer.from("a cat\r\na dog", "utf16le")])],
  ["c.jsonl", '\ufeff"a cat"\n{"prompt": "a dog", "seed": 18446744073709551615}\n'],
  ["d.json", '["a cat", {"prompt": "a dog"}]'],
])("two prompts from %s", async (name, content) => {
  const { code, lines } = await list(name, content);
  expect([code, lines.map(({ prompt, images }) => [prompt, images.length])]).toEqual([
    0,
    [
      ["a cat", 1],
      ["a dog", 1],
    ],
  ]);
});

test.each<[string, string, string, RegExp]>([
  ["a.csv", "prompt,negative\na cat,ugly\n", "prompts/format", /csv/],
  ["flags.txt", 'a cat\n--prompt "a cat" --steps 3\n', "prompts/flags", /Line 2/],
  ["weight.txt", "a cat\na (dog:1,2)\n", "prompt/weight", /line 2 of .*weight\.txt/],
  ["bad.jsonl", '{"prompt": "a cat"}\n{"prompt":\n', "config/not-json", /line 2/],
  ["one.json", '{"prompt": "a cat"}', "config/not-json", /not a JSON list/],
  ["wildcard.txt", "a cat\na __colour__ dog\n", "wildcards/not-given", /Line 2 of .*wildcard\.txt/],
])("%s is refused, and says where", async (name, content, code, problem) => {
  const { code: exit, lines } = await list(name, content);
  expect(exit).toBe(1);
  expect(lines.at(-1).error).toMatchObject({ code, problem: expect.stringMatching(problem) });
  expect(lines.length).toBe(code.startsWith("wildcards/") ? 2 : 1);
});
