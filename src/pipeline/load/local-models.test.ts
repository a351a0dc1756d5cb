import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseLoadOptions } from "../../contract/request.ts";
import { goldenPath } from "../../testing/golden.ts";
import { MEMORY_COMMIT, type MemoryHub, memoryHub, repositoryFiles, stuckAfter } from "../../testing/memory-hub.ts";
import type { DownloadProgress } from "../../weights/hub/index.ts";
import { PhotoMaker } from "../photomaker.ts";
import { type LoadingOptions, localModels } from "./local-models.ts";

const repos = {
  "org/sdxl": await repositoryFiles(goldenPath("tiny-sdxl")),
  "org/style": await repositoryFiles(goldenPath("lora", "peft.safetensors")),
};
const INPUT = { model: "org/sdxl", loras: [{ path: "org/style@v1", scale: 0.5 }] };

let hub: MemoryHub;
let cacheDir: string;
let how: LoadingOptions;
let seen: DownloadProgress[];
beforeEach(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), "hub-"));
  hub = memoryHub(repos);
  seen = [];
  how = { cacheDir, env: { HF_TOKEN_PATH: "/nowhere" }, fetch: hub.fetch, onProgress: (progress) => void seen.push(progress) };
});
afterEach(() => rm(cacheDir, { recursive: true }));

const revisions = (): string[] => hub.asked.filter((path) => path.includes("/revision/"));

test("models on the hub are downloaded with progress, and named in the picture's settings", async () => {
  const tokens = new Set<string | null>();
  hub.answer = (_, { headers }) => {
    tokens.add(new Headers(headers).get("authorization"));
    return undefined;
  };
  await using pm = await PhotoMaker.load(INPUT, { ...how, revision: "v2", token: "hf_secret" });
  expect([...tokens]).toEqual(["Bearer hf_secret"]);
  expect(revisions().map((path) => path.replace("api/models/", ""))).toEqual(["org/sdxl/revision/v2", "org/style/revision/v1"]);
  for (const repo of Object.keys(repos)) {
    const last = seen.findLast((each) => each.repo === repo)!;
    expect(last).toMatchObject({ phase: "download", bytes: last.total });
    expect(last.total).toBeGreaterThan(1000);
  }
  const { images } = await pm.generate({
    prompt: "a lighthouse",
    numInferenceSteps: 1,
    seed: 1,
    width: 64,
    height: 64,
  });
  expect(images[0]!.settings).toMatchObject({
    load: {
      model: `org/sdxl@${MEMORY_COMMIT}`,
      loras: [{ path: `org/style@${MEMORY_COMMIT}:peft.safetensors` }],
    },
  });

  hub.asked.length = 0;
  await (await PhotoMaker.load(INPUT, { ...how, revision: "v2", offline: true })).close();
  expect(hub.asked).toEqual([]);
});

test("every model option may name a model on the hub, and the revision applies to `model` only", async () => {
  const parts = { vae: "o/v", unet: "o/u", textEncoder: "o/l", textEncoder2: "o/g" };
  const named = {
    ...parts,
    model: "o/model",
    adapter: "o/adapter",
    tinyVae: "o/vae",
    loras: [{ path: "o/a", scale: 2 }, { path: "o/b" }],
  };
  const asked: unknown[] = [];
  const local = await localModels(parseLoadOptions(named), { revision: "v2", variant: "fp16" }, async (value, options) => {
    asked.push([value, options]);
    return `/local/${value}`;
  });
  expect(local).toMatchObject({
    model: "/local/o/model",
    adapter: "/local/o/adapter",
    tinyVae: "/local/o/vae",
    vae: "/local/o/v",
    unet: "/local/o/u",
    textEncoder: "/local/o/l",
    textEncoder2: "/local/o/g",
    loras: [
      { path: "/local/o/a", scale: 2 },
      { path: "/local/o/b", scale: 1 },
    ],
  });
  const rest = ["o/adapter", "o/vae", "o/a", "o/b"].map((value) => [value, { variant: "fp16" }]);
  const alone = [
    ["o/u", "unet"],
    ["o/v", "vae"],
    ["o/l", "text_encoder"],
    ["o/g", "text_encoder_2"],
  ].map(([value, part]) => [value, { variant: "fp16", part }] as const);
  const without = alone.map(([, { part }]) => part);
  expect(asked).toEqual([["o/model", { revision: "v2", variant: "fp16", without }], ...alone, ...rest]);
  expect(await localModels(parseLoadOptions({ model: cacheDir }))).toEqual(parseLoadOptions({ model: cacheDir }));
});

test("of a whole model on the hub that a part is taken from, only that part is downloaded", async () => {
  const input = { model: goldenPath("tiny-sdxl"), vae: "org/sdxl", unet: "org/sdxl:unet" };
  await (await PhotoMaker.load(input, how)).close();
  const files = hub.asked.flatMap((path) => /\/resolve\/[^/]+\/(.*)$/.exec(path)?.[1] ?? []);
  expect(files.sort()).toEqual(
    ["unet", "vae"].flatMap((name) => [`${name}/config.json`, `${name}/diffusion_pytorch_model.safetensors`]),
  );
  hub.asked.length = 0;
  await (await PhotoMaker.load(input, { ...how, offline: true })).close();
  expect(hub.asked).toEqual([]);
  await (await PhotoMaker.load({ model: "org/sdxl", vae: goldenPath("tiny-sdxl", "vae") }, how)).close();
  expect(hub.asked.join()).toContain("/text_encoder/model");
  expect(hub.asked.join()).not.toContain("/vae/");
});

test("offline, models that are not in the cache are refused, and local models are loaded", async () => {
  await expect(PhotoMaker.load(INPUT, { ...how, offline: true })).rejects.toMatchObject({ code: "download/offline" });
  await (await PhotoMaker.load({ model: goldenPath("tiny-sdxl") }, how)).close();
  expect([hub.asked, seen]).toEqual([[], []]);
});

test("aborting a download rejects at once, and the next download resumes", async () => {
  const unet = repos["org/sdxl"]["unet/diffusion_pytorch_model.safetensors"]!;
  const half = Math.floor(unet.length / 2);
  hub.answer = (path) =>
    path.endsWith("unet/diffusion_pytorch_model.safetensors")
      ? Promise.resolve(stuckAfter(unet.subarray(0, half), unet.length))
      : undefined;
  const stop = new AbortController();
  const loading = PhotoMaker.load(INPUT, { ...how, signal: stop.signal });
  const ended = loading.catch((error: unknown) => error);
  const parts = async () => (await readdir(cacheDir, { recursive: true })).filter((name) => name.includes("incomplete"));
  const missing = (): number | undefined => (seen.length > 0 ? seen.at(-1)!.total - seen.at(-1)!.bytes : undefined);
  await expect.poll(missing, { interval: 1, timeout: 20_000 }).toBe(unet.length - half);
  const start = performance.now();
  stop.abort();
  expect(await ended).toMatchObject({ code: "download/interrupted", remedy: expect.stringContaining("goes on") });
  expect(performance.now() - start).toBeLessThan(1000);
  expect(await parts()).not.toEqual([]);

  hub.answer = () => undefined;
  await (await PhotoMaker.load({ model: "org/sdxl" }, how)).close();
  expect(hub.asked.filter((path) => path.includes("unet/diff")).at(-1)).toMatch(new RegExp(` bytes=${half}-$`));
  expect(await parts()).toEqual([]);
});

test("aborting a load rejects at once, with the signal's reason", async () => {
  const input = { model: goldenPath("tiny-sdxl"), precision: "int8" } as const;
  for (const wait of [0, 5]) {
    const stop = new AbortController();
    const loading = PhotoMaker.load(input, { signal: stop.signal });
    if (wait > 0) setTimeout(() => stop.abort(new Error("enough")), wait);
    else stop.abort(new Error("enough"));
    await expect(loading).rejects.toThrow("enough");
  }
  await expect(PhotoMaker.load(input, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: "AbortError" });
});
