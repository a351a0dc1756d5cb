import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { GenerateEvent } from "../contract/events.ts";
import type { GenerateInput, LoadInput } from "../contract/request.ts";
import { goldenPath } from "../testing/golden.ts";
import { TINY_V1 } from "../testing/tiny-model.ts";
import { PhotoMaker } from "./photomaker.ts";

/** Makes the tiny model run like a large one, with encoders in their own process. */
const apart = vi.hoisted(() => ({ value: true }));
vi.mock("../sessions/apart.ts", () => ({ runsApart: () => apart.value }));

const request: GenerateInput = {
  prompt: "a photo of a man img",
  inputIdImages: [goldenPath("photos", "person_0.png")],
  width: 64,
  height: 64,
  numInferenceSteps: 2,
  startMergeStep: 0,
  seed: 1,
};

let cache: string;
beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), "photomaker-"));
  vi.stubEnv("PHOTOMAKER_CACHE", cache);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true });
});

async function drawn(more: Partial<LoadInput>, requests: readonly GenerateInput[]) {
  await using pm = await PhotoMaker.load({ ...TINY_V1, ...more });
  const pictures: Uint8Array[] = [];
  const events: GenerateEvent[] = [];
  for (const one of requests)
    for await (const event of pm.generate(one)) {
      events.push(event);
      if (event.type === "image") pictures.push(event.png);
    }
  return { pictures, events };
}

const requests = [request, { ...request, deepCache: 2 }, request];
const inOneProcess = new Map<string, ReturnType<typeof drawn>>();
/** Pictures of one process, drawn once for each precision. */
function alone(precision: "f32" | "int8"): ReturnType<typeof drawn> {
  apart.value = false;
  const made = inOneProcess.get(precision) ?? drawn({ precision }, requests);
  inOneProcess.set(precision, made);
  return made.finally(() => {
    apart.value = true;
  });
}

test.each([
  ["f32", false],
  ["f32", true],
  ["int8", false],
  ["int8", true],
] as const)(
  "%s, unloaded after use: %s: the pictures equal those of one process, in every form of the UNet",
  async (precision, unloadAfterUse) => {
    const one = await alone(precision);
    const beside = await drawn({ precision, unloadAfterUse }, requests);
    expect(beside.pictures).toHaveLength(requests.length);
    for (const [i, picture] of beside.pictures.entries()) {
      // compare pixels only: the settings in the PNG differ in unloadAfterUse
      const [expected, got] = await Promise.all([one.pictures[i]!, picture].map(pixels));
      expect(got).toEqual(expected);
    }
    expect(memoryOf(beside.events)).toBeGreaterThan(memoryOf(one.events)); // of two processes
  },
);

test("a model loaded ahead is reported like the others, and loaded once", async () => {
  await using pm = await PhotoMaker.load(TINY_V1);
  const { timings } = await pm.generate(request);
  expect(Object.keys(timings.load)).toEqual(["text_encoder", "text_encoder_2", "id_encoder", "fuse_module", "unet", "vae"]);
  const again = await pm.generate({ ...request, prompt: "a drawing of a man img" });
  expect(again.timings.load).toEqual({});
});

test("a request that is cancelled while encoding leaves no loaded model behind", async () => {
  await using pm = await PhotoMaker.load({ ...TINY_V1, unloadAfterUse: true });
  const stop = new AbortController();
  const cancelled = (async () => {
    for await (const event of pm.generate(request, { signal: stop.signal }))
      if (event.type === "progress" && event.phase === "encode") stop.abort();
  })();
  await expect(cancelled).rejects.toMatchObject({ name: "AbortError" });
  expect((await pm.generate(request)).images.length).toBe(1);
});

const memoryOf = (events: readonly GenerateEvent[]): number =>
  Math.max(...events.map((event) => (event.type === "done" ? event.modelMemory : 0)));

async function pixels(png: Uint8Array): Promise<Buffer> {
  const { default: sharp } = await import("sharp");
  return sharp(png).raw().toBuffer();
}
