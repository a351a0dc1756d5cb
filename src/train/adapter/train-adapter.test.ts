import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { renderWorld } from "../../cli/world/world-files.ts";
import { PhotoMaker } from "../../pipeline/photomaker.ts";
import { goldenPath } from "../../testing/golden.ts";
import { openTensors, readFloats, writeSafetensors } from "../../weights/index.ts";
import { MetricsFile } from "../metrics-file.ts";
import type { TrainingProgress } from "../run.ts";
import { adapterConfig } from "./config.ts";
import { type TrainAdapterOptions, trainAdapter } from "./train-adapter.ts";

let folder: string;
let data: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adapter-"));
  data = join(folder, "faces");
  const signal = new AbortController().signal;
  await renderWorld({ people: 2, pictures: 3, seed: 5, side: 64, signal, onPicture: () => {} }, data);
});
afterAll(() => rm(folder, { recursive: true }));

const model = goldenPath("tiny-sdxl");
const init = goldenPath("tiny-photomaker-v1.safetensors");
const config = (more: object = {}) =>
  adapterConfig({
    resolution: 64,
    batch: 2,
    accumulate: 1,
    steps: 8,
    seed: 3,
    loraRank: 4,
    warmUp: 0,
    reportEvery: 2,
    visionLayers: 1,
    loraLearningRate: 0.01,
    learningRate: 0.003,
    idImages: 2,
    emaDecay: 0.5,
    ...more,
  });
const run = (name: string, more: Partial<TrainAdapterOptions> = {}) =>
  trainAdapter({ model, data, init, config: config(), out: join(folder, name), workers: 1, threads: 1, ...more });
const lossesOf = async (name: string) =>
  (await new MetricsFile(join(folder, name, "metrics.jsonl")).read()).map(
    ({ seconds: _, stepSeconds: _step, peakMemory: _peak, ...line }) => line,
  );
const values = async (path: string, name: string) => readFloats((await openTensors(path)).tensors.get(name)!);

test("the loss falls, the adapter changes the picture, and only trained weights have changed", async () => {
  const path = await run("long", { config: config({ steps: 40, reportEvery: 10, nullText: 0, maskedLoss: 0.5 }) });
  const losses = (await lossesOf("long")).map(({ loss }) => loss!);
  expect(losses.at(-1)).toBeLessThan(losses[0]!);

  const frozen = "id_encoder.vision_model.encoder.layers.0.mlp.fc1.weight";
  expect(await values(path, frozen)).toEqual(await values(init, frozen));
  for (const name of ["vision_model.encoder.layers.2.mlp.fc1.weight", "visual_projection.weight", "fuse_module.mlp1.fc1.weight"])
    expect(await values(path, `id_encoder.${name}`), name).not.toMatchGolden(await values(init, `id_encoder.${name}`), 1e-3);

  const picture = async (adapter: string) => {
    await using photomaker = await PhotoMaker.load({ model, adapter });
    const photos = [join(data, "00000_000.png"), join(data, "00000_001.png")];
    const request = {
      prompt: "a photo of a woman img",
      inputIdImages: photos,
      idCrop: "off" as const, // small pictures of drawn people
      numInferenceSteps: 3,
      startMergeStep: -1,
      seed: 1,
    };
    const { images } = await photomaker.generate({ ...request, width: 64, height: 64 });
    return sharp(images[0]!.png).removeAlpha().raw().toBuffer();
  };
  const [before, after] = [await picture(init), await picture(path)];
  const change = before.reduce((sum, v, i) => sum + Math.abs(v - after[i]!), 0) / before.length;
  expect(change).toBeGreaterThan(1);
});

test("a repeated batch is learnt step by step; each step reports its seconds and memory", async () => {
  const phases: string[] = [];
  const told: TrainingProgress[] = [];
  await run("same", {
    config: config({ overfitBatches: 1, steps: 6, reportEvery: 1, emaDecay: null }),
    onPhase: ({ phase }) => phases.push(phase),
    onProgress: (at) => told.push(at),
  });
  expect(phases).toEqual(["memory", "encode", "load"]);
  const lines = await new MetricsFile(join(folder, "same", "metrics.jsonl")).read();
  const losses = lines.map(({ loss }) => loss!);
  expect(losses).toEqual(losses.toSorted((a, b) => b - a));
  expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.9);
  for (const { stepSeconds, peakMemory } of [...lines, ...told]) {
    expect(stepSeconds).toBeGreaterThan(0);
    expect(peakMemory).toBeGreaterThan(50e6);
  }
  await expect(run("small", { availableMemory: 1e8 })).rejects.toMatchObject({ code: "train/memory" });
  expect(await readdir(join(folder, "small"))).toEqual([]);
});

test("a stopped run resumes exactly", async () => {
  const whole = await readFile(await run("whole"));
  const stop = new AbortController();
  const onProgress = () => stop.abort();
  await expect(run("stopped", { signal: stop.signal, onProgress })).rejects.toThrow("abort");
  expect((await lossesOf("stopped")).length).toBeLessThan(4);
  expect((await readFile(await run("stopped"))).equals(whole)).toBe(true);
  expect(await lossesOf("stopped")).toEqual(await lossesOf("whole"));
});

test("gradient checkpointing changes neither loss nor gradients", async () => {
  const once = { steps: 1, reportEvery: 1 };
  await run("kept", { config: config({ ...once, gradientCheckpointing: false }) });
  await run("again", { config: config(once) });
  const [[kept], [again]] = [await lossesOf("kept"), await lossesOf("again")];
  expect(again!.loss!).toBeCloseTo(kept!.loss!, 5);
  expect(again!.norm! / kept!.norm!).toBeCloseTo(1, 3);
});

test("another config or other pictures are refused in the folder of a run", async () => {
  await run("settings", { config: config({ steps: 1 }) });
  const other = config({ steps: 1, loraLearningRate: 0.02, maskedLoss: 0 });
  await expect(run("settings", { config: other })).rejects.toMatchObject({
    code: "train/other-config",
    message: expect.stringMatching(/loraLearningRate was 0.01 and is 0.02; maskedLoss was 0.5 and is 0/),
  });
});

test("a randomly initialised vision model is trained as a whole", async () => {
  const vision = {
    hidden_size: 16,
    intermediate_size: 32,
    num_attention_heads: 2,
    num_hidden_layers: 2,
    patch_size: 8,
    image_size: 32,
  };
  const { init: _, ...options } = { model, data, init, out: join(folder, "random"), workers: 1, threads: 1 };
  const path = await trainAdapter({ ...options, config: config({ steps: 1, vision }) });
  await using photomaker = await PhotoMaker.load({ model, adapter: path });
  const { images } = await photomaker.generate({
    prompt: "a woman img",
    inputIdImages: [join(data, "00000_000.png")],
    idCrop: "off",
    numInferenceSteps: 1,
    startMergeStep: -1,
    width: 64,
    height: 64,
  });
  expect(images).toHaveLength(1);
  await expect(trainAdapter({ ...options, config: config() })).rejects.toMatchObject({ code: "train/no-vision" });
});

test("sample sheets show people of the data during training", async () => {
  const notes: string[] = [];
  const samples = config({ steps: 2, sampleEvery: 2, sampleSteps: 1, samplePrompts: ["a photo of a {class} at the sea"] });
  await run("samples", { config: samples, onNotice: (text) => notes.push(text) });
  const sheet = join(folder, "samples", "samples", "step-0000002.png");
  expect(notes.at(-1)).toContain(sheet);
  expect((await sharp(sheet).metadata()).width).toBeGreaterThan(128);
});

test("a file that an ID encoder cannot start from is refused by name", async () => {
  const v2 = goldenPath("tiny-photomaker-v2.bin");
  await expect(run("v2", { init: v2 })).rejects.toMatchObject({ code: "train/init-kind" });
  const vae = goldenPath("tiny-sdxl", "vae", "diffusion_pytorch_model.safetensors");
  await expect(run("vae", { init: vae })).rejects.toMatchObject({ code: "train/init-kind" });
  await expect(run("rank", { config: config({ loraRank: 3 }) })).rejects.toMatchObject({
    code: "train/start-shape",
    message: expect.stringMatching(/rank 4.*loraRank is 3/),
    remedy: expect.stringContaining('"loraRank": 4'),
  });
  expect(await readdir(folder)).not.toContain("rank"); // no picture was read or encoded
  await mkdir(join(folder, "alone"));
  await copyFile(init, join(folder, "alone", "photomaker-v1.safetensors"));
  const alone = join(folder, "alone", "photomaker-v1.safetensors");
  await expect(run("alone", { init: alone })).rejects.toMatchObject({ code: "adapter/config-needed" });
});

test("a LoRA with its own scale is refused, since the trained one has none", async () => {
  const { tensors } = await openTensors(init);
  const written = await Promise.all(
    [...tensors].map(async ([name, entry]) => ({
      name,
      dtype: "F32" as const,
      shape: entry.shape,
      data: () => readFloats(entry),
    })),
  );
  const down = written.find(({ name }) => name.endsWith("_lora.down.weight"))!;
  const alpha = down.name.replace("_lora.down.weight", ".alpha");
  const scaled = join(folder, "scaled");
  await mkdir(scaled);
  await copyFile(goldenPath("photomaker-config.json"), join(scaled, "photomaker-config.json"));
  const strength = { name: alpha, dtype: "F32" as const, shape: [], data: async () => Float32Array.of(2) };
  await writeSafetensors(join(scaled, "photomaker-v1.safetensors"), [...written, strength]);
  await expect(run("strong", { init: join(scaled, "photomaker-v1.safetensors") })).rejects.toMatchObject({
    code: "train/lora-scale",
    message: expect.stringContaining("a scale of 0.5"), // alpha over rank
  });
});

test("a model that predicts clean images is refused", async () => {
  const other = join(folder, "predicts-pictures");
  await cp(model, other, { recursive: true });
  const scheduler = join(other, "scheduler", "scheduler_config.json");
  const json = JSON.parse(await readFile(scheduler, "utf8"));
  await writeFile(scheduler, JSON.stringify({ ...json, prediction_type: "sample" }));
  await expect(run("sample", { model: other })).rejects.toMatchObject({ code: "train/prediction" });
});

test("unknown fields of the config are named", () => {
  expect(() => adapterConfig({ learningrate: 1 })).toThrow(
    expect.objectContaining({ code: "train/config", message: expect.stringContaining("learningrate") }),
  );
  expect(() => adapterConfig({ nullText: 2 })).toThrow(/nullText/);
  expect(adapterConfig(undefined)).toMatchObject({
    loraLearningRate: 1e-4,
    learningRate: 1e-5,
    nullText: 0.1,
    maskedLoss: 0.5,
    idImages: 4,
  });
});
