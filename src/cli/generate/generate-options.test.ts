import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterEach, beforeEach, expect, test } from "vitest";
import { encodePicture } from "../../image/encode-picture.ts";
import { encodePng } from "../../image/encode-png.ts";
import { withPngSettings } from "../../image/png-settings.ts";
import { rgb8 } from "../../image/rgb8.ts";
import { goldenPath } from "../../testing/golden.ts";
import { addGenerate } from "./generate.ts";
import { ALL_FLAGS, ALL_OPTIONS, longName } from "./generate-flags.ts";
import { type FlagValues, type GenerateOptions, generateOptions } from "./generate-options.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "options-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** Options that the command line reads from arguments, through commander. */
async function optionsOf(...args: string[]): Promise<GenerateOptions> {
  const program = new Command().exitOverride();
  const nothing = { write: () => true };
  const io = {
    stdout: nothing,
    stderr: nothing,
    env: {},
    signal: new AbortController().signal,
    now: () => 0,
    peakMemory: () => 2e9,
  };
  const never = () => Promise.reject(new Error("not in this test"));
  addGenerate(program, io, { load: never, download: never, hub: never, byteSpeed: never });
  let values: FlagValues | undefined;
  program.commands[0]!.action((given: FlagValues) => {
    values = given;
  });
  await program.parseAsync(["generate", ...args], { from: "user" });
  return generateOptions(values!);
}
const MINIMAL = ["--model", "m", "--prompt", "a"];

/** Every flag, its arguments, and the field it sets. */
const CASES: readonly (readonly [
  flag: string,
  args: readonly string[],
  section: keyof GenerateOptions,
  key: string,
  value: unknown,
])[] = [
  ["--prompt", ["-starts with a dash"], "request", "prompt", "-starts with a dash"],
  ["--prompt-2", ["b"], "request", "prompt2", "b"],
  ["--negative-prompt", [""], "request", "negativePrompt", ""],
  ["--negative-prompt-2", ["c"], "request", "negativePrompt2", "c"],
  ["--prompt-syntax", ["none"], "request", "promptSyntax", "none"],
  ["--wildcards", ["lists"], "request", "wildcards", "lists"],
  ["--style", ["Lowpoly"], "request", "prompt", expect.stringContaining("low-poly")],
  ["--id-image", ["a.png", "b c.png", "--adapter", "x"], "request", "inputIdImages", ["a.png", "b c.png"]],
  ["--id-embeds", ["e.safetensors", "--adapter", "x", "--id-image", "a"], "request", "idEmbeds", "e.safetensors"],
  ["--model", ["org/name"], "load", "model", "org/name"],
  ["--model-config", ["c"], "load", "modelConfig", "c"],
  ["--prediction", ["edm-v"], "load", "prediction", "edm-v"],
  ["--zero-terminal-snr", [], "load", "zeroTerminalSnr", true],
  ["--vae", ["vae.safetensors"], "load", "vae", "vae.safetensors"],
  ["--unet", ["org/name:unet"], "load", "unet", "org/name:unet"],
  ["--text-encoder", ["clip_l.safetensors"], "load", "textEncoder", "clip_l.safetensors"],
  ["--text-encoder-2", ["clip_g.safetensors"], "load", "textEncoder2", "clip_g.safetensors"],
  ["--adapter", ["x", "--id-image", "a"], "load", "adapter", "x"],
  ["--adapter-scale", ["0.5"], "load", "adapterScale", 0.5],
  [
    "--lora",
    ["a.safetensors:0.8", "b", "--lora", "c:-1"],
    "load",
    "loras",
    [
      { path: "a.safetensors", scale: 0.8 },
      { path: "b", scale: 1 },
      { path: "c", scale: -1 },
    ],
  ],
  ["--lora-folder", ["loras"], "load", "loraFolder", "loras"],
  ["--embeddings", ["a.pt", "folder"], "load", "embeddings", ["a.pt", "folder"]],
  ["--tiny-vae", ["madebyollin/taesdxl"], "load", "tinyVae", "madebyollin/taesdxl"],
  ["--trigger-word", ["pic"], "load", "triggerWord", "pic"],
  ["--width", ["512"], "request", "width", 512],
  ["--height", ["768"], "request", "height", 768],
  ["--steps", ["4"], "request", "numInferenceSteps", 4],
  ["--guidance-scale", ["7.5"], "request", "guidanceScale", 7.5],
  ["--guidance-rescale", ["0.7"], "request", "guidanceRescale", 0.7],
  ["--guidance-end", ["0.5"], "request", "guidanceEnd", 0.5],
  ["--start-merge-step", ["-1"], "request", "startMergeStep", -1],
  ["--style-strength", ["20"], "request", "styleStrength", 20],
  ["--scheduler", ["dpmpp_2m_sde_karras"], "request", "scheduler", "dpmpp_2m_sde_karras"],
  ["--timestep-spacing", ["trailing"], "request", "timestepSpacing", "trailing"],
  ["--eta", ["0.5"], "request", "eta", 0.5],
  ["--seed", ["42"], "request", "seed", 42],
  ["--generator-device", ["cuda"], "request", "generatorDevice", "cuda"],
  ["--num-images", ["2"], "request", "numImagesPerPrompt", 2],
  ["--only-image", ["1", "--num-images", "2"], "request", "onlyImage", 1],
  ["--clip-skip", ["1"], "request", "clipSkip", 1],
  ["--original-size", ["768x512"], "request", "originalSize", [512, 768]],
  ["--target-size", ["64x32"], "request", "targetSize", [32, 64]],
  ["--crops-coords-top-left", ["16,32"], "request", "cropsCoordsTopLeft", [16, 32]],
  ["--negative-original-size", ["256x128"], "request", "negativeOriginalSize", [128, 256]],
  ["--negative-target-size", ["64x96"], "request", "negativeTargetSize", [96, 64]],
  ["--negative-crops-coords-top-left", ["1,2"], "request", "negativeCropsCoordsTopLeft", [1, 2]],
  ["--device", ["cpu"], "load", "device", "cpu"],
  ["--precision", ["f32"], "load", "precision", "f32"],
  ["--decoder", ["tiny-vae"], "request", "decoder", "tiny-vae"],
  ["--threads", ["2"], "load", "threads", 2],
  ["--deep-cache", ["3"], "request", "deepCache", 3],
  ["--t-gate", ["12"], "request", "tGate", 12],
  ["--token-downsampling", ["2"], "request", "tokenDownsampling", 2],
  ["--out", ["dir"], "output", "out", "dir"],
  ["--format", ["webp"], "output", "format", "webp"],
  ["--quality", ["80", "--format", "jpeg"], "output", "quality", 80],
  ["--lossless", ["--format", "webp"], "output", "lossless", true],
  ["--save-latents", ["l.safetensors"], "output", "saveLatents", "l.safetensors"],
  ["--latents", ["n.safetensors"], "request", "latents", "n.safetensors"],
  ["--preview", [], "request", "preview", true],
  ["--json", [], "output", "json", true],
  ["--quiet", [], "output", "quiet", true],
];

test.each(CASES)("%s", async (flag, args, section, key, value) => {
  const options = await optionsOf(...MINIMAL, flag, ...args);
  expect((options[section] as unknown as Record<string, unknown>)[key]).toEqual(value);
  const other = await optionsOf(...MINIMAL);
  expect((other[section] as unknown as Record<string, unknown>)[key]).not.toEqual(value);
});

test("every flag is in the table above", () => {
  expect(CASES.map(([flag]) => flag)).toEqual(ALL_FLAGS.map(longName));
  // an option of an unknown group, or placed after an unknown option, would be missing from help
  expect(ALL_FLAGS).toHaveLength(ALL_OPTIONS.filter(({ flag }) => flag !== undefined).length);
});

test("without flags: folder out, progress, and models that are unloaded after use", async () => {
  const { output, load, request } = await optionsOf(...MINIMAL);
  expect(output).toEqual({ out: "out", format: "png", json: false, quiet: false });
  expect(load.unloadAfterUse).toBe(true);
  expect(request).not.toHaveProperty("negativePrompt");
});

test.each([
  [["--model", "m"], "prompt/missing", "--prompt is missing."],
  [["--prompt", "a"], "model/missing", "--model is missing."],
  [[...MINIMAL, "--width", "1001"], "size/not-multiple-of-8", "--width is 1001"],
  [[...MINIMAL, "--steps", "0"], "steps/out-of-range", "--steps is 0"],
  [[...MINIMAL, "--steps", "many"], "steps/wrong-type", '--steps is "many"'],
  [[...MINIMAL, "--steps", ""], "steps/wrong-type", '--steps is ""'],
  [[...MINIMAL, "--seed", "1.5"], "seed/wrong-type", "--seed is 1.5"],
  [
    [...MINIMAL, "--seed", "18446744073709551616"],
    "seed/out-of-range",
    'is "18446744073709551616", and must be at most 18446744073709551615',
  ],
  [
    [...MINIMAL, "--only-image", "2", "--num-images", "2"],
    "only-image/out-of-range",
    "--only-image is 2, and --num-images is 2: the last is 1.",
  ],
  [[...MINIMAL, "--original-size", "512"], "original-size/wrong-form", "--original-size"],
  [[...MINIMAL, "--scheduler", "DDIM2"], "scheduler/unknown", '--scheduler is "DDIM2"'],
  [
    [...MINIMAL, "--start-merge-step", "1", "--style-strength", "2"],
    "merge-step/given-twice",
    "--start-merge-step and --style-strength",
  ],
  [[...MINIMAL, "--adapter", "x"], "id-images/missing", "no photo"],
  [[...MINIMAL, "--id-image", "x"], "id-images/not-wanted", "no PhotoMaker adapter"],
  [[...MINIMAL, "--out", "x.gif"], "out/unknown-format", "x.gif"],
  [[...MINIMAL, "--out", "x.jpg", "--format", "webp"], "out/format", "--format is webp"],
  [[...MINIMAL, "--quality", "80"], "out/quality", "a PNG keeps"],
  [[...MINIMAL, "--out", "x.jpeg", "--lossless"], "out/quality", "never without loss"],
  [[...MINIMAL, "--format", "webp", "--lossless", "--quality", "3"], "out/quality", "both given"],
  [[...MINIMAL, "--format", "tiff"], "format/unknown", '--format is "tiff"'],
  [[...MINIMAL, "--format", "jpeg", "--quality", "0"], "quality/out-of-range", "--quality is 0"],
  [[...MINIMAL, "--format", "webp", "--width", "16384"], "out/too-large", "16384"],
  [[...MINIMAL, "--format", "jpeg", "--negative-prompt", "x".repeat(8000)], "picture/long-settings", "8001 characters"],
  [[...MINIMAL, "--out", "x.png", "--num-images", "2"], "out/one-file", "2 pictures"],
  [[...MINIMAL, "--out", ""], "out/wrong-type", "--out"],
  [[...MINIMAL, "--config", "/nowhere.json"], "file/missing", "/nowhere.json"],
])("%j is refused: %s", async (args, code, words) => {
  await expect(optionsOf(...args)).rejects.toMatchObject({ name: "UserError", code, message: expect.stringContaining(words) });
});

async function config(content: unknown): Promise<string> {
  const path = join(folder, "case.json");
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

test("a config file takes every option, named as in code, as in diffusers or as the flag", async () => {
  const path = await config({
    model: "m",
    prompt: "a",
    num_inference_steps: 7,
    guidanceScale: 3,
    "num-images": 2,
    width: 64,
    originalSize: [512, 768],
    target_size: "64x32",
    lora: ["s.safetensors:0.5", { path: "t", scale: 2 }],
    negative_prompt: null,
    out: "there",
  });
  const { load, request, output } = await optionsOf("--config", path);
  expect(request).toMatchObject({
    numInferenceSteps: 7,
    guidanceScale: 3,
    numImagesPerPrompt: 2,
    originalSize: [512, 768],
    targetSize: [32, 64],
  });
  expect(request).not.toHaveProperty("negativePrompt");
  expect(load.loras).toEqual([
    { path: "s.safetensors", scale: 0.5 },
    { path: "t", scale: 2 },
  ]);
  expect(output.out).toBe("there");
});

test("flags override the config, even with the other option for the merge step", async () => {
  const path = await config({ model: "m", prompt: "a", steps: 7, seed: 1, styleStrength: 30 });
  const { request } = await optionsOf("--config", path, "--steps", "9", "--start-merge-step", "2");
  expect(request).toMatchObject({ prompt: "a", numInferenceSteps: 9, seed: 1, startMergeStep: 2 });
  expect(request.styleStrength).toBeUndefined();
});

test("files beside the config are found from any folder", async () => {
  await writeFile(join(folder, "me.png"), "");
  const path = await config({ model: "org/name", adapter: "x", prompt: "a", idImage: ["me.png", "other.png"], lora: "me.png:2" });
  const { load, request } = await optionsOf("--config", path);
  expect(load.model).toBe("org/name");
  expect(request.inputIdImages).toEqual([join(folder, "me.png"), "other.png"]);
  expect(load.loras).toEqual([{ path: join(folder, "me.png"), scale: 2 }]);
});

test("patterns and folders in a config are relative to it, too", async () => {
  await mkdir(join(folder, "photos"));
  await writeFile(join(folder, "photos", "me.png"), await encodePng(rgb8(1, 1, new Uint8Array(3))));
  for (const idImage of ["photos/*.png", "photos"]) {
    const path = await config({ model: "org/name", adapter: "x", prompt: "a", idImage });
    expect((await optionsOf("--config", path)).request.inputIdImages).toEqual([join(folder, "photos", "me.png")]);
  }
});

test("a picture's own settings make it again", async () => {
  for (const name of ["m", "l"]) await writeFile(join(folder, name), "");
  const files = ["--model", join(folder, "m"), "--lora", `${join(folder, "l")}:0.5`];
  const first = await optionsOf("--prompt", "a", ...files, "--seed", "5", "--original-size", "8x16", "--steps", "3");
  const png = await encodePng(rgb8(1, 1, new Uint8Array(3)));
  const path = join(folder, "x.png");
  const load = { ...first.load, model: "m", loras: [{ path: "l", scale: 0.5 }] };
  await writeFile(path, withPngSettings(png, { settings: { ...first.request, index: 1, load } }));
  expect(await optionsOf("--config", path)).toEqual(first);
  await rm(join(folder, "l"));
  await expect(optionsOf("--config", path)).rejects.toMatchObject({
    code: "config/file-not-found",
    message: expect.stringContaining("was made with l, which lies neither"),
    remedy: expect.stringContaining("--lora"),
  });
  expect((await optionsOf("--config", path, "--lora", "elsewhere/l:2")).load.loras).toEqual([{ path: "elsewhere/l", scale: 2 }]);
  await writeFile(path, png);
  await expect(optionsOf("--config", path)).rejects.toMatchObject({ code: "config/no-settings" });
});

test("a config may be written by an editor of Windows, and a seed in it may be larger than numbers are exact", async () => {
  const text = '{"model": "m", "prompt": "a \\" 18446744073709551616", "seed": 18446744073709551615}\r\n';
  const path = join(folder, "windows.json");
  for (const bytes of [Buffer.from(`\ufeff${text}`), Buffer.from(`\ufeff${text}`, "utf16le")]) {
    await writeFile(path, bytes);
    const { request } = await optionsOf("--config", path);
    expect(request).toMatchObject({ prompt: 'a " 18446744073709551616', seed: "18446744073709551615" });
  }
  await writeFile(path, Buffer.from('{"prompt": "Mädchen"}', "latin1"));
  await expect(optionsOf("--config", path)).rejects.toMatchObject({ code: "text/encoding" });
});

test("a picture of several that were made at once is made again alone, unless their number is given anew", async () => {
  const path = join(folder, "x.png");
  const settings = { prompt: "a", seed: "18446744073709551615", numImagesPerPrompt: 3, index: 1, load: { model: "org/name" } };
  await writeFile(path, withPngSettings(await encodePng(rgb8(1, 1, new Uint8Array(3))), { settings }));
  const { request } = await optionsOf("--config", path, "--out", "again.png");
  expect(request).toMatchObject({ seed: "18446744073709551615", numImagesPerPrompt: 3, onlyImage: 1 });
  expect((await optionsOf("--config", path, "--num-images", "2")).request).not.toHaveProperty("onlyImage");
  expect((await optionsOf("--config", path, "--only-image", "0")).request.onlyImage).toBe(0);
});

test("the name of the file says the format, in capitals too", async () => {
  const formatOf = async (...args: string[]) => (await optionsOf(...MINIMAL, ...args)).output.format;
  expect(await formatOf("--out", "a.JPG")).toBe("jpeg");
  expect(await formatOf("--out", "a.jpeg", "--format", "jpeg")).toBe("jpeg");
  expect(await formatOf("--out", "a.webp")).toBe("webp");
  expect(await formatOf("--out", "a.b")).toBe("png");
  expect(await formatOf("--out", "-", "--format", "webp")).toBe("webp");
  expect(await formatOf("--out", "a.jpg", "--format", "JPG")).toBe("jpeg");
});

test.each(["jpeg", "webp"] as const)("the settings of a picture as %s make it again", async (format) => {
  const settings = { prompt: "a (cat:1.2), 猫", seed: "18446744073709551615", load: { model: "org/name" } };
  const png = withPngSettings(await encodePng(rgb8(1, 1, new Uint8Array(3))), { settings });
  const path = join(folder, `x.${format}`);
  await writeFile(path, await encodePicture(png, { format }));
  const { load, request } = await optionsOf("--config", path);
  expect(load.model).toBe("org/name");
  expect(request).toMatchObject({ prompt: "a (cat:1.2), 猫", seed: "18446744073709551615" });
  await writeFile(path, (await readFile(path)).subarray(0, 30));
  await expect(optionsOf("--config", path)).rejects.toMatchObject({ code: "picture/unreadable" });
});

test("a JPEG, WebP or AVIF of another program gives its settings", async () => {
  for (const name of ["a1111.jpg", "a1111.webp", "a1111.avif", "stable-diffusion-cpp.jpg", "fooocus.jpg", "comfyui.webp"]) {
    const { request, notices } = await optionsOf("--config", goldenPath("pictures", name), "--model", "m");
    expect(request).toMatchObject({
      prompt: expect.stringContaining("a café"),
      negativePrompt: expect.stringContaining("ugly"),
      height: 72,
    });
    expect(notices.map(({ code }) => code)).toEqual(["config/other-program"]);
  }
});

test("a picture of A1111 gives its settings, says what is left out, and asks for its model", async () => {
  const path = join(folder, "a1111.png");
  const parameters =
    "a cat\nNegative prompt: ugly\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 9007199254740993, Size: 64x72, Model: other, Hires upscale: 2";
  await writeFile(path, withPngSettings(await encodePng(rgb8(1, 1, new Uint8Array(3))), { parameters }));
  const { request, load, notices } = await optionsOf("--config", path, "--model", "m", "--steps", "4");
  expect(load.model).toBe("m");
  expect(request).toMatchObject({
    prompt: "a cat",
    seed: "9007199254740993",
    scheduler: "euler_a",
    numInferenceSteps: 4,
    height: 72,
  });
  expect(notices).toMatchObject([
    { code: "config/other-program", message: expect.stringMatching(/A1111.*left out: Hires upscale: 2/) },
  ]);
  await expect(optionsOf("--config", path)).rejects.toMatchObject({
    code: "config/file-not-found",
    message: expect.stringContaining("other.safetensors"),
  });
});

test("the config of a picture made from numbers or bytes: the message says what must be given again", async () => {
  const path = join(folder, "x.png");
  const png = await encodePng(rgb8(1, 1, new Uint8Array(3)));
  const made = (person: object) =>
    writeFile(
      path,
      withPngSettings(png, { settings: { prompt: "a man img", ...person, load: { model: "org/name", adapter: "o/a" } } }),
    );
  await writeFile(join(folder, "me.png"), "");

  await made({ inputIdImages: [], idTokens: "<numbers [2, 64]>" });
  await expect(optionsOf("--config", path)).rejects.toMatchObject({
    code: "config/not-in-picture",
    message: expect.stringContaining("idTokens given as numbers <numbers [2, 64]>"),
    remedy: expect.stringMatching(/--id-image.*in code.*requestFromSettings/),
  });
  expect((await optionsOf("--config", path, "--id-image", "b.png")).request).toEqual(
    (await optionsOf("-p", "a man img", "-m", "m", "-a", "a", "--id-image", "b.png")).request,
  );

  await made({ inputIdImages: ["<12 bytes>"] });
  await expect(optionsOf("--config", path)).rejects.toMatchObject({
    code: "config/not-in-picture",
    remedy: expect.stringContaining("--id-image <files...>"),
  });

  await made({ inputIdImages: ["me.png"], latents: "<numbers [1, 4, 8, 8]>" });
  await expect(optionsOf("--config", path)).rejects.toMatchObject({ remedy: expect.stringContaining("--latents <file>") });
  expect((await optionsOf("--config", path, "--latents", "n")).request.latents).toBe("n");

  await made({ inputIdImages: [], people: [{ photos: ["me.png"], weight: 1 }] });
  expect((await optionsOf("--config", path)).request.people).toEqual([{ photos: [join(folder, "me.png")], weight: 1 }]);
  expect((await optionsOf("--config", path, "--id-image", "b.png")).request).toMatchObject({ inputIdImages: ["b.png"] });
});

test("a config also takes options without a flag, named as in code", async () => {
  await writeFile(join(folder, "me.png"), "");
  const path = await config({
    model: "m",
    adapter: "a",
    prompt: "a man img",
    unload_after_use: false,
    people: [{ photos: ["me.png", "data:image/png;base64,iVBORw=="] }],
  });
  const { load, request } = await optionsOf("--config", path);
  expect(load.unloadAfterUse).toBe(false);
  expect(request.people![0]!.photos).toEqual([join(folder, "me.png"), Uint8Array.of(0x89, 0x50, 0x4e, 0x47)]);
  await expect(optionsOf("--config", await config({ model: "m", prompt: "a", json: "yes" }))).rejects.toMatchObject({
    code: "json/wrong-type",
    message: '--json is "yes", and must be true or false.',
  });
});

test.each([
  ["{", "config/not-json", /./],
  ["[]", "config/not-json", /./],
  [{ stepz: 1 }, "config/unknown-key", /Did you mean steps\?/],
  [{ banana: 1 }, "config/unknown-key", /Known options/],
  [{ steps: 1, num_inference_steps: 2 }, "config/given-twice", /Keep one/],
  [{ model: "m", prompt: "a", steps: "7x" }, "steps/wrong-type", /./],
])("the config %j is refused: %s", async (content, code, remedy) => {
  await expect(optionsOf("--config", await config(content))).rejects.toMatchObject({
    code,
    remedy: expect.stringMatching(remedy),
  });
});
