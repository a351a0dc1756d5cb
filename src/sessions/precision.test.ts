import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type LoadInput, parseLoadOptions } from "../contract/request.ts";
import { floats } from "../core/array.ts";
import { decodePhoto } from "../image/index.ts";
import { PhotoMaker } from "../pipeline/photomaker.ts";
import type { WeightRange } from "../runtime/eight-bit-probe.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { listPrepared, preparedIn, weightsPath } from "../runtime/node/prepare/cache-folder.ts";
import { computeInCache } from "../runtime/node/prepare/compute-in-cache.ts";
import { prepareInCache } from "../runtime/node/prepare/prepare-in-cache.ts";
import { decibels } from "../testing/decibels.ts";
import { goldenPath } from "../testing/golden.ts";
import { silent } from "../testing/tiny-model.ts";
import { openModel, openStored, readRowMajor } from "../weights/index.ts";
import { NO_PAIRS, vaeGraph } from "./graphs.ts";
import { chooseDevice, choosePrecision, inEightBits } from "./precision.ts";

const MINIATURE = join(import.meta.dirname, "../../assets/miniature");
const model = { model: MINIATURE, adapter: join(MINIATURE, "photomaker-v1.safetensors") };
const request = {
  prompt: "a photo of a man img in the forest",
  inputIdImages: [goldenPath("photos", "person_0.png")],
  numInferenceSteps: 3,
  seed: 3,
  decoder: "vae" as const,
};

const folder = await mkdtemp(join(tmpdir(), "prepared-"));
afterAll(() => rm(folder, { recursive: true }));
beforeEach(() => {
  vi.stubEnv("PHOTOMAKER_CACHE", folder);
  vi.stubEnv("PHOTOMAKER_CACHE_GB", undefined);
});

/** Pixels, the models that were prepared for them, and the notices. */
async function draw(load: Partial<LoadInput>) {
  await using pm = await PhotoMaker.load({ ...model, ...load });
  const prepared = new Set<string>();
  const notices: string[] = [];
  const drawing = pm.generate(request);
  for await (const event of drawing) {
    if (event.type === "progress" && event.phase === "prepare") prepared.add(event.detail!);
    if (event.type === "notice") notices.push(event.notice.code);
  }
  const { images } = await drawing;
  return { pixels: (await decodePhoto(images[0]!.png)).data, prepared: [...prepared], notices };
}

const difference = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, v, i) => sum + Math.abs(v - b[i]!), 0) / a.length;

const unets = async () => (await listPrepared(folder)).filter(({ model }) => model === "unet");

test("in 8 bits the picture is close to that of float32; weights are prepared once, and again for other LoRA strengths", async () => {
  const exact = await draw({ precision: "f32" });
  expect(exact.prepared).toEqual([]);
  const first = await draw({ precision: "int8" });
  expect(first.prepared.sort()).toEqual(["id_encoder", "text_encoder", "text_encoder_2", "unet", "vae"]);
  const distance = difference(exact.pixels, first.pixels);
  expect(distance).toBeGreaterThan(0);
  expect(distance).toBeLessThan(2.5);
  const second = await draw({ precision: "int8" });
  expect(second.prepared).toEqual([]);
  expect(second.pixels).toEqual(first.pixels);

  const half = await draw({ precision: "int8", adapterScale: 0.5 });
  expect(half.prepared).toEqual(["unet"]);
  const halfExact = await draw({ precision: "f32", adapterScale: 0.5 });
  expect(difference(half.pixels, halfExact.pixels)).toBeLessThan(difference(half.pixels, exact.pixels) / 2);
  expect(await unets()).toHaveLength(2);
  expect((await readdir(folder)).filter((name) => name.endsWith(".part"))).toEqual([]);
});

describe("prepared weights that were changed or damaged", () => {
  test.each([
    ["cut short", (path: string) => truncate(path, 5000)],
    [
      "edited",
      async (path: string) => {
        const bytes = await readFile(path);
        bytes.fill(7, bytes.length - 600);
        await writeFile(path, bytes);
      },
    ],
    ["without its record", (path: string) => rm(path.replace(/safetensors$/, "json"))],
    ["with half a record", (path: string) => writeFile(path.replace(/safetensors$/, "json"), '{"key":')],
  ])("are prepared again: %s", async (what, damage) => {
    const whole = await draw({ precision: "int8" });
    for (const { key } of await unets()) await damage(join(folder, `${key}.safetensors`));
    const again = await draw({ precision: "int8" });
    expect(again.prepared).toEqual(["unet"]);
    expect(again.notices.includes("cache/prepared-again")).toBe(!what.includes("record"));
    expect(again.pixels).toEqual(whole.pixels);
  });
});

test("a checkpoint with one changed weight is prepared on its own", async () => {
  const copy = join(folder, "..", `copy-${process.pid}`);
  await cp(MINIATURE, copy, { recursive: true });
  try {
    const path = join(copy, "unet/diffusion_pytorch_model.safetensors");
    const bytes = await readFile(path);
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(path, bytes);
    expect((await draw({ model: copy, precision: "int8" })).prepared).toEqual(["unet"]);
  } finally {
    await rm(copy, { recursive: true });
  }
});

test("two processes that prepare the same weights at once do not disturb each other", async () => {
  for (const { key } of await listPrepared(folder)) await rm(join(folder, `${key}.json`));
  const [a, b] = await Promise.all([draw({ precision: "int8" }), draw({ precision: "int8" })]);
  expect(a.pixels).toEqual(b.pixels);
});

test("the least recently used models are removed when the cache is too large", async () => {
  await draw({ precision: "int8" });
  const total = async () => (await listPrepared(folder)).reduce((sum, { bytes }) => sum + bytes, 0);
  const [before, most] = [await unets(), await total()];
  for (const [i, { key }] of before.entries()) {
    const used = new Date(i * 1000);
    await utimes(join(folder, `${key}.json`), used, used);
  }
  vi.stubEnv("PHOTOMAKER_CACHE_GB", `${most / 1e9}`);
  await draw({ precision: "int8", adapterScale: 0.25 });
  const after = (await unets()).map(({ key }) => key);
  expect(await total()).toBeLessThanOrEqual(most);
  expect(after).toHaveLength(before.length);
  expect(after).not.toContain(before[0]!.key);
  for (const { key } of before.slice(1)) expect(after).toContain(key);
});

test("a cache folder that cannot be made and an invalid size are refused with a remedy", async () => {
  vi.stubEnv("PHOTOMAKER_CACHE", join(MINIATURE, "model_index.json", "cache"));
  await expect(draw({ precision: "int8" })).rejects.toMatchObject({
    code: "cache/folder",
    remedy: expect.stringContaining("f32"),
  });
  vi.stubEnv("PHOTOMAKER_CACHE", folder);
  vi.stubEnv("PHOTOMAKER_CACHE_GB", "much");
  await expect(draw({ precision: "int8" })).rejects.toMatchObject({ code: "cache/size" });
});

test("cancelling a preparation leaves no files, and preparing alone draws nothing", async () => {
  const other = join(folder, "cancelled");
  vi.stubEnv("PHOTOMAKER_CACHE", other);
  await using pm = await PhotoMaker.load({ ...model, precision: "int8" });
  const stop = new AbortController();
  const cancelled = pm.prepare({ signal: stop.signal, onProgress: (name) => name === "unet" && stop.abort() });
  await expect(cancelled).rejects.toThrow("abort");
  expect((await listPrepared(other)).map((found) => found.model)).not.toContain("unet");
  expect((await readdir(other)).filter((name) => name.endsWith(".part"))).toEqual([]);
  expect(await pm.prepare()).toEqual(["text_encoder", "text_encoder_2", "id_encoder", "unet", "vae"]);
  expect(await listPrepared(other)).toHaveLength(5);
  await using exact = await PhotoMaker.load({ ...model, precision: "f32" });
  expect(await exact.prepare()).toEqual([]);
});

test("a request that waits for another process to prepare its weights gets a notice and ends at its signal; the next request can begin", async () => {
  const ready = join(folder, "ready");
  vi.stubEnv("PHOTOMAKER_CACHE", ready);
  await using pm = await PhotoMaker.load({ ...model, precision: "int8" });
  await pm.prepare();
  const { key } = (await listPrepared(ready)).find(({ model }) => model === "text_encoder")!;
  const held = join(folder, "held");
  await mkdir(held);
  vi.stubEnv("PHOTOMAKER_CACHE", held);
  await preparedIn(held).lock(key, {}, async () => {
    for (let turn = 0; turn < 2; turn++) {
      const stop = new AbortController();
      const drawing = pm.generate(request, { signal: stop.signal });
      const waits = async () => {
        for await (const event of drawing) if (event.type === "notice" && event.notice.code === "cache/waiting") stop.abort();
      };
      await expect(waits()).rejects.toMatchObject({ name: "AbortError" });
    }
  });
  expect((await readdir(held)).filter((name) => name.endsWith(".lock"))).toEqual([]);
});

test("weights of the paired range have a file of their own, no pair sums to more than 128, and the picture is nearly the same", async () => {
  const { decode, config } = vaeGraph(await openModel(MINIATURE));
  const latents = floats(
    Float32Array.from({ length: config.latentChannels * 64 }, (_, i) => Math.sin(i * 7)),
    ...[1, config.latentChannels, 8, 8],
  );
  const runtime = ortRuntime();
  const pictures: Float32Array[] = [];
  for (const weightRange of ["full", "paired"] as const) {
    const whole = { model: "vae", from: "miniature", outputs: decode, pairs: NO_PAIRS, weightRange };
    const session = await runtime.load((await inEightBits(whole, decode, prepareInCache, computeInCache)(silent)).outputs);
    pictures.push((await session.run({ latents })).picture.data as Float32Array);
  }
  await runtime.close();
  expect(pictures[1]).not.toEqual(pictures[0]);
  expect(decibels(pictures[0]!, pictures[1]!)).toBeGreaterThan(30);
  const most = async (key: string): Promise<number> => {
    let most = 0;
    for (const entry of (await openStored(weightsPath(folder, key))).tensors.values()) {
      if (entry.dtype !== "I8") continue;
      const [rows, columns] = entry.shape as [number, number];
      const bytes = await readRowMajor(entry);
      const weights = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let row = 0; row < rows; row += 2)
        for (let i = row * columns; i < (row + 1) * columns; i++)
          most = Math.max(most, Math.abs(weights[i]! + weights[i + columns]!));
    }
    return most;
  };
  const [paired, full] = (await listPrepared(folder)).slice(0, 2);
  expect(await most(full!.key)).toBeGreaterThan(200);
  expect(await most(paired!.key)).toBeLessThanOrEqual(128);
  expect(await most(paired!.key)).toBeGreaterThan(125);
});

describe("the choice of the precision", () => {
  const about = { f32: 12e9, int8: 4e9 };
  /** @param millions parameters of the UNet, in millions @param weightRange range of weights whose products are correct */
  const of = (load: Partial<LoadInput>, millions: number, weightRange: WeightRange | "none" = "full", available = 24e9) => {
    const options = parseLoadOptions({ ...model, ...load });
    const probe = async () => (weightRange === "none" ? undefined : weightRange);
    return choosePrecision(options, chooseDevice(options), millions * 1e6, { about, available }, probe);
  };

  test("auto means 8 bits for large models on the processor, otherwise float32", async () => {
    expect(await of({}, 2500)).toMatchObject({ precision: "int8", weightRange: "full" });
    expect((await of({}, 2500)).notices).toMatchObject([
      { code: "device/chosen", message: expect.stringContaining("2.5 billion") },
    ]);
    expect(await of({}, 5)).toMatchObject({ precision: "f32" });
    expect(await of({ precision: "f32" }, 2500)).toMatchObject({ precision: "f32" });
    expect(await of({ device: "cuda" }, 2500)).toMatchObject({ precision: "f32" });
  });

  test("where only paired products are correct, weights are rounded to the paired range, with a notice", async () => {
    expect(await of({ device: "cpu", precision: "int8" }, 5)).toMatchObject({ weightRange: "full", notices: [] });
    expect(await of({ device: "cpu", precision: "int8" }, 5, "paired")).toMatchObject({
      precision: "int8",
      weightRange: "paired",
      notices: [{ code: "precision/paired" }],
    });
  });

  test("where integer products are wrong, auto means float32 and says why, and int8 is refused", async () => {
    const chosen = await of({}, 2500, "none");
    expect(chosen).toMatchObject({
      precision: "f32",
      notices: [{ message: expect.stringContaining("wrong on this processor") }],
    });
    const wanted = of({ precision: "int8" }, 2500, "none");
    await expect(wanted).rejects.toMatchObject({ code: "precision/int8-wrong", remedy: expect.stringContaining("f32") });
  });

  test("auto means 8 bits for a smaller model that fits only in 8 bits, and says why", async () => {
    const tight = await of({}, 250, "full", 8e9);
    expect(tight).toMatchObject({ precision: "int8" });
    expect(tight.notices[0]!.message).toContain("float32 needs about 12.0 GB of memory, and 8.0 GB are available");
    expect(await of({}, 250, "full", 2e9)).toMatchObject({ precision: "f32" });
    expect(await of({ precision: "f32" }, 250, "full", 8e9)).toMatchObject({ precision: "f32" });
    expect((await of({}, 2500)).notices[0]!.message).toContain("--precision f32");
    expect((await of({}, 2500, "full", 8e9)).notices[0]!.message).not.toContain("--precision f32");
  });
});
