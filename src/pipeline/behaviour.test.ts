import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GenerateEvent, GenerateResult } from "../contract/events.ts";
import type { GenerateInput, LoadInput } from "../contract/request.ts";
import { readPngSettings } from "../image/index.ts";
import { goldenPath } from "../testing/golden.ts";
import { singleFileBytes, singleFileHeader } from "../testing/single-file.ts";
import { goldenJson } from "../testing/tensors.ts";
import { TINY_V1 } from "../testing/tiny-model.ts";
import { openTensors } from "../weights/open-tensors.node.ts";
import { readValues } from "../weights/read-tensor.ts";
import { writeSafetensors } from "../weights/safetensors-write.node.ts";
import { writeLatents } from "./denoise/read-latents.ts";
import { PhotoMaker } from "./photomaker.ts";

const photo = (name: string): string => goldenPath("photos", `${name}.png`);
const base: GenerateInput = {
  prompt: "a photo of a man img, wearing a hat",
  inputIdImages: [photo("person_0")],
  width: 64,
  height: 64,
  numInferenceSteps: 3,
  startMergeStep: 0,
  seed: 1,
};

let pm: PhotoMaker;
let folder: string;
beforeAll(async () => {
  pm = await PhotoMaker.load(TINY_V1);
  folder = await mkdtemp(join(tmpdir(), "photomaker-"));
});
afterAll(async () => {
  await pm.close();
  await rm(folder, { recursive: true });
});

async function eventsOf(input: GenerateInput, maker = pm): Promise<GenerateEvent[]> {
  const events: GenerateEvent[] = [];
  for await (const event of maker.generate(input)) events.push(event);
  return events;
}
const loads = (events: readonly GenerateEvent[]): string[] =>
  events.flatMap((e) => (e.type === "progress" && e.phase === "load" && e.step === 0 ? [e.detail!] : []));
const pixelsOf = ({ images }: GenerateResult): Promise<Buffer> => sharp(images[0]!.png).raw().toBuffer();
const code = (expected: string) => expect.objectContaining({ name: "UserError", code: expected });

test("models are loaded once: another prompt, photo, size, count or scheduler loads nothing", async () => {
  const first = loads(await eventsOf(base));
  expect(first).toEqual(["text_encoder", "text_encoder_2", "id_encoder", "fuse_module", "unet", "vae"]);
  const others: GenerateInput[] = [
    { ...base, prompt: "a woman img in the rain", negativePrompt: "" },
    { ...base, inputIdImages: [photo("person_1"), photo("other")] },
    { ...base, width: 72, height: 104 },
    { ...base, numImagesPerPrompt: 2 },
    { ...base, scheduler: "dpmpp_2m_sde_karras" },
  ];
  for (const other of others) expect(loads(await eventsOf(other))).toEqual([]);
});

test("with unloadAfterUse one model at a time is kept, and the picture is the same", async () => {
  await using sparing = await PhotoMaker.load({ ...TINY_V1, unloadAfterUse: true, encodingCacheBytes: 0 });
  const [kept, sparingly] = [await pm.generate(base), await sparing.generate(base)];
  expect(sparingly.latents.final).toEqual(kept.latents.final);
  expect(loads(await eventsOf(base, sparing))).toHaveLength(6); // every model is loaded again
});

test("events carry phase, step and seconds left; previews are sent on request", async () => {
  const events = await eventsOf({ ...base, preview: true, numImagesPerPrompt: 2 });
  const steps = events.flatMap((e) => (e.type === "progress" && e.phase === "denoise" ? [e] : []));
  expect(steps.map((e) => [e.step, e.steps])).toEqual([
    [1, 3],
    [2, 3],
    [3, 3],
  ]);
  expect(steps.at(-1)!.secondsLeft).toBe(0);
  const previews = events.filter((e) => e.type === "preview");
  expect(previews).toHaveLength(3);
  expect(previews.every((e) => e.images.length === 2)).toBe(true);
  expect(events.filter((e) => e.type === "image").map((e) => e.index)).toEqual([0, 1]);
  expect(events.at(-1)).toMatchObject({ type: "done", seed: 1, timings: { evaluations: { length: 3 } } });
});

test("cancelling takes effect within one evaluation, and the next request works", async () => {
  const abort = new AbortController();
  let evaluations = 0;
  const work = (async () => {
    for await (const event of pm.generate({ ...base, numInferenceSteps: 50 }, { signal: abort.signal }))
      if (event.type === "progress" && event.phase === "denoise") {
        evaluations = event.step;
        if (event.step === 2) abort.abort();
      }
  })();
  await expect(work).rejects.toMatchObject({ name: "AbortError" });
  expect(evaluations).toBeLessThanOrEqual(3);
  expect((await pm.generate(base)).images).toHaveLength(1);
});

test("a request that waits behind another is cancelled at once, without affecting the one before it", async () => {
  const order: string[] = [];
  const first = pm.generate({ ...base, numInferenceSteps: 20 }).then(() => order.push("first"));
  const stop = new AbortController();
  const waiting = [
    pm.generate(base, { signal: stop.signal }),
    pm.generateTogether([base], { signal: stop.signal }),
    pm.encodeIdImages([photo("person_0")], { signal: stop.signal }),
    pm.prepare({ signal: stop.signal }),
  ].map((work) => Promise.resolve(work).catch((error: Error) => order.push(error.name)));
  setTimeout(() => stop.abort(), 10);
  await Promise.all(waiting);
  expect(order).toEqual(Array(4).fill("AbortError"));
  await first;
  expect(order.at(-1)).toBe("first");
});

test("cancelling while a model loads rejects at once, and the next request uses the loaded model", async () => {
  await using other = await PhotoMaker.load(TINY_V1);
  const stop = new AbortController();
  const events: GenerateEvent[] = [];
  const work = (async () => {
    for await (const event of other.generate(base, { signal: stop.signal })) {
      events.push(event);
      if (event.type === "progress" && event.phase === "load") stop.abort();
    }
  })();
  await expect(work).rejects.toMatchObject({ name: "AbortError" });
  expect(loads(events)).toEqual(["text_encoder"]);
  expect((await other.generate(base)).latents.final).toEqual((await pm.generate(base)).latents.final);
});

test("every public method refuses invalid input with a code", async () => {
  const wrong = (value: unknown) => value as never;
  await expect(pm.encodeIdImages(wrong("a.jpg"))).rejects.toThrow(code("id-images/wrong-type"));
  await expect(pm.encodeIdImages([photo("person_0")], { idEmbeds: wrong({ data: new Float32Array(3) }) })).rejects.toThrow(
    code("id-embeds/wrong-type"),
  );
  await expect(pm.generate({ ...base, latents: wrong({ data: new Float32Array(3), dims: [4] }) })).rejects.toThrow(
    code("latents/wrong-type"),
  );
  await expect(pm.generate(wrong(undefined))).rejects.toThrow(code("request/missing"));
  await expect(pm.generateTogether(wrong("all"))).rejects.toThrow(code("requests/wrong-type"));
  await expect(pm.generateTogether([base, { ...base, width: 60 }])).rejects.toThrow(code("size/not-multiple-of-8"));
  expect(() => pm.evaluationWork({ width: 0, height: 64, rows: 1 })).toThrow(code("size/out-of-range"));
});

test("requests to one pipeline run one after the other and do not affect each other", async () => {
  const alone = (await pm.generate(base)).latents.final;
  const both = await Promise.all([pm.generate(base), pm.generate({ ...base, seed: 2 }), pm.generate(base)]);
  expect(both[0].latents.final).toEqual(alone);
  expect(both[2].latents.final).toEqual(alone);
  expect(both[1].latents.final).not.toEqual(alone);
});

test("models do not block the event loop while they load and run", async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const before: number[] = [];
  await using other = await PhotoMaker.load(TINY_V1);
  for await (const event of other.generate({ ...base, width: 256, height: 256 }))
    if (event.type === "progress" && (event.detail === "unet" || event.phase === "denoise")) before.push(turns);
  clearInterval(timer);
  // begin and end of loading, and three evaluations: no timer would fire in between if a call blocked the loop
  expect(before).toHaveLength(5);
  for (let i = 1; i < before.length; i++) expect(before[i]! - before[i - 1]!).toBeGreaterThanOrEqual(3);
});

test("a picture contains its settings, and they make it again", async () => {
  const { images, latents } = await pm.generate({ ...base, negativePrompt: "ugly, bad" });
  const { parameters, settings } = readPngSettings(images[0]!.png);
  expect(parameters).toBe(
    "a photo of a man img, wearing a hat\nNegative prompt: ugly, bad\nSteps: 3, Sampler: Euler, CFG scale: 5, Seed: 1, Size: 64x64, Model: tiny-sdxl, PhotoMaker: tiny-photomaker-v1.bin, ID images: 1, Start merge step: 0",
  );
  const { index, load, ...request } = settings as { index: number; load: LoadInput; inputIdImages: string[] };
  expect(index).toBe(0);
  expect([load.model, load.adapter, request.inputIdImages]).toEqual(["tiny-sdxl", "tiny-photomaker-v1.bin", ["person_0.png"]]);
  const model = goldenPath(load.model);
  await using again = await PhotoMaker.load({ ...load, model, adapter: goldenPath(load.adapter!) });
  const inputIdImages = request.inputIdImages.map((name) => goldenPath("photos", name));
  expect((await again.generate({ ...request, inputIdImages } as GenerateInput)).latents.final).toEqual(latents.final);
});

test("a picture does not reveal the folders of its files", async () => {
  const all = { ...TINY_V1, tinyVae: goldenPath("tiny-autoencoder"), loras: [{ path: goldenPath("lora", "peft.safetensors") }] };
  await using other = await PhotoMaker.load(all);
  const { latents: drawn } = await other.generate({ ...base, numInferenceSteps: 1 });
  const latents = join(folder, "own-noise.safetensors");
  await writeLatents(latents, drawn.initialNoise, drawn.final, drawn.dims);
  const { images } = await other.generate({ ...base, numInferenceSteps: 1, latents });
  const { parameters, settings } = readPngSettings(images[0]!.png);
  const said = `${parameters}${JSON.stringify(settings)}${JSON.stringify(images[0]!.settings)}`;
  for (const name of ["tiny-sdxl", "tiny-photomaker-v1.bin", "peft.safetensors", "person_0.png", "own-noise.safetensors"])
    expect(said).toContain(name);
  for (const place of [folder, goldenPath("."), homedir(), process.cwd(), "fixtures"]) expect(said).not.toContain(place);
});

test("a single-file checkpoint with --model-config and a safetensors adapter draw as the folder and the .bin do", async () => {
  const bytes = await singleFileBytes();
  const model = join(folder, "tiny.safetensors");
  await writeSafetensors(
    model,
    [...bytes].map(([name, data]) => ({ name, dtype: "F16", shape: singleFileHeader[name]![1], data })),
  );
  await expect(PhotoMaker.load({ model })).rejects.toThrow(code("model/config-needed"));
  const adapter = goldenPath("tiny-photomaker-v1.safetensors");
  await using single = await PhotoMaker.load({ model, modelConfig: goldenPath("tiny-sdxl"), adapter });
  const [expected, actual] = [await pm.generate(base), await single.generate(base)];
  expect(actual.latents.final).toEqual(expected.latents.final);
  expect(await pixelsOf(actual)).toEqual(await pixelsOf(expected));
});

test("a photo with an EXIF orientation gives the picture of the upright photo", async () => {
  const turned = await readFile(goldenPath("photos", "person_3_exif6.jpg"));
  const [upright, lying] = [join(folder, "upright.png"), join(folder, "lying.png")];
  await sharp(turned).autoOrient().png().toFile(upright);
  await sharp(turned).png().toFile(lying); // pixels as stored, without EXIF
  const drawn = async (file: NonNullable<GenerateInput["inputIdImages"]>[number]) =>
    (await pm.generate({ ...base, inputIdImages: [file], idCrop: "off" })).latents.final; // which turns no photo
  const expected = await drawn(upright);
  expect(await drawn(turned)).toEqual(expected);
  expect(await drawn(lying)).not.toEqual(expected);
});

test("saved latents make the picture again with any seed", async () => {
  const { latents } = await pm.generate(base);
  const path = join(folder, "latents.safetensors");
  await writeLatents(path, latents.initialNoise, latents.final, latents.dims);
  expect((await pm.generate({ ...base, seed: 99, latents: path })).latents.final).toEqual(latents.final);
  await expect(pm.generate({ ...base, width: 72, latents: path })).rejects.toThrow(code("latents/shape"));
});

test("no negative prompt and an empty one differ", async () => {
  const [none, empty] = [await pm.generate(base), await pm.generate({ ...base, negativePrompt: "" })];
  expect(none.latents.final).not.toEqual(empty.latents.final);
});

describe("invalid input is refused with its cause", () => {
  test.each<[string, GenerateInput, string]>([
    ["no photo", { ...base, inputIdImages: [] }, "id-images/missing"],
    ["a photo that is not there", { ...base, inputIdImages: ["nobody.jpg"] }, "photo/missing"],
    ["no trigger word", { ...base, prompt: "a photo of a man" }, "prompt/trigger-missing"],
    ["two trigger words", { ...base, prompt: "a man img and a dog img" }, "prompt/trigger-repeated"],
    ["no class word", { ...base, prompt: "img" }, "prompt/class-missing"],
    ["a trigger word in the negative prompt", { ...base, negativePrompt: "bad img" }, "prompt/trigger-in-negative"],
    ["a second negative prompt without the first", { ...base, negativePrompt2: "ugly" }, "prompt/negative-missing"],
    ["a trigger word only in the first prompt", { ...base, prompt2: "a painting" }, "prompt/trigger-missing"],
    ["a person at different places", { ...base, prompt2: "man img" }, "prompt/second-misplaced"],
    ["a width that does not fit", { ...base, width: 60 }, "size/not-multiple-of-8"],
    ["no steps", { ...base, numInferenceSteps: 0 }, "steps/out-of-range"],
    [
      "face embeddings for V1",
      { ...base, idEmbeds: { dtype: "f32", dims: [1, 512], data: new Float32Array(512) } },
      "id-embeds/not-wanted",
    ],
    ["latents that are not there", { ...base, latents: "nothing.safetensors" }, "file/missing"],
  ])("%s", async (_, request, expected) => {
    await expect(pm.generate(request)).rejects.toThrow(code(expected));
  });

  test("a V2 adapter needs the face embedding of every photo", async () => {
    await using v2 = await PhotoMaker.load({ ...TINY_V1, adapter: goldenPath("tiny-photomaker-v2.bin") });
    await expect(v2.generate(base)).rejects.toThrow(code("id-embeds/missing"));
    const idEmbeds = { dtype: "f32" as const, dims: [2, 512], data: new Float32Array(1024) };
    await expect(v2.generate({ ...base, idEmbeds })).rejects.toThrow(code("id-embeds/shape"));
  });

  test("an adapter as model, a LoRA as adapter, an adapter for another model", async () => {
    await expect(PhotoMaker.load({ model: TINY_V1.adapter! })).rejects.toThrow(code("model/wrong-kind"));
    await expect(PhotoMaker.load({ ...TINY_V1, adapter: goldenPath("lora", "peft.safetensors") })).rejects.toThrow(
      code("adapter/wrong-kind"),
    );
    await expect(PhotoMaker.load({ ...TINY_V1, model: "nowhere/at/all" })).rejects.toThrow(code("path/missing"));
  });

  test("weights with NaN end the run with an error that names the step", async () => {
    const { tensors } = await openTensors(goldenPath("tiny-sdxl", "unet", "diffusion_pytorch_model.safetensors"));
    const values = await readValues(tensors.get("conv_in.bias")!);
    const bad = new Uint16Array(values.shape[0]!).fill(0x7e00);
    const model = join(folder, "model");
    await copyModel(model);
    await writeSafetensors(
      join(model, "unet", "diffusion_pytorch_model.safetensors"),
      await Promise.all(
        [...tensors.values()].map(async ({ name, dtype, shape, source }) => {
          if (source.kind !== "file") throw new Error("the fixture is a file");
          const whole = await readFile(source.file.id);
          const data = name === "conv_in.bias" ? bad : whole.subarray(source.offset, source.offset + source.length);
          return { name, dtype, shape, data };
        }),
      ),
    );
    await using broken = await PhotoMaker.load({ ...TINY_V1, model });
    await expect(broken.generate(base)).rejects.toMatchObject({
      code: "output/nan",
      message: expect.stringContaining("evaluation 1 of 3"),
    });
  });
});

/** A copy of the tiny model, to break. */
async function copyModel(target: string): Promise<void> {
  const { cp } = await import("node:fs/promises");
  await cp(goldenPath("tiny-sdxl"), target, { recursive: true });
  await writeFile(join(target, "note.txt"), "a broken copy");
}

test("a seed is for PyTorch's CPU generator, or on request for its CUDA generator, which the settings record", async () => {
  const golden = goldenJson("rng", "cuda_philox.json").cases.find(
    (c: { shape: number[]; call: number }) => String(c.shape) === "4,16,16" && c.call === 0,
  );
  const input: GenerateInput = { ...base, width: 128, height: 128, numInferenceSteps: 1, seed: Number(golden.seed) };
  const { images, latents, notices } = await pm.generate({ ...input, generatorDevice: "cuda" });
  expect(latents.initialNoise.slice(0, 16)).toMatchGolden(golden.first16, 1e-5);
  expect((await pm.generate(input)).latents.initialNoise).not.toEqual(latents.initialNoise);
  const { parameters, settings } = readPngSettings(images[0]!.png);
  expect(parameters).toContain("RNG: NV");
  expect(settings).toMatchObject({ generatorDevice: "cuda" });
  expect(notices.map((n) => n.code)).not.toContain("seed/depends-on-gpu");
});

test("a seed of 64 bits is in the picture as it was given", async () => {
  const { images, seed } = await pm.generate({ ...base, numInferenceSteps: 1, seed: 2n ** 64n - 1n });
  const { parameters, settings } = readPngSettings(images[0]!.png);
  expect(seed).toBe("18446744073709551615");
  expect(parameters).toContain("Seed: 18446744073709551615,");
  expect(settings).toMatchObject({ seed });
});

test.each(["euler_a", "dpmpp_2m_sde"] as const)(
  "one picture of several at once is drawn again alone with %s",
  async (scheduler) => {
    for (const generatorDevice of ["cpu", "cuda"] as const) {
      const input: GenerateInput = { ...base, width: 64, height: 72, scheduler, generatorDevice, numImagesPerPrompt: 3 };
      const all = await pm.generate(input);
      const alone = await pm.generate({ ...input, onlyImage: 1 });
      const size = all.latents.final.length / 3;
      expect(alone.latents.dims).toEqual([1, ...all.latents.dims.slice(1)]);
      expect(alone.latents.initialNoise).toEqual(all.latents.initialNoise.slice(size, 2 * size));
      expect(alone.latents.final).toMatchGolden(all.latents.final.slice(size, 2 * size), 1e-4);
      expect(alone.images).toHaveLength(1);
      expect(alone.images[0]).toMatchObject({ index: 1, settings: { index: 1, onlyImage: 1 } });
      const pixels = await Promise.all([alone.images[0]!, all.images[1]!].map(({ png }) => sharp(png).raw().toBuffer()));
      expect(pixels[0]).toMatchGolden(pixels[1]!, 1);
      const { initialNoise, final, dims } = all.latents;
      const path = join(folder, "three.safetensors");
      await writeLatents(path, initialNoise, final, dims);
      expect((await pm.generate({ ...input, latents: path, onlyImage: 1 })).latents.initialNoise).toEqual(
        alone.latents.initialNoise,
      );
    }
  },
);

test("as many layers may be left out as the text encoders have, and more are refused before anything is loaded", async () => {
  await pm.generate({ ...base, numInferenceSteps: 1, clipSkip: 2 });
  const fresh = await PhotoMaker.load(TINY_V1);
  await expect(fresh.generate({ ...base, clipSkip: 3 })).rejects.toMatchObject({
    code: "clip-skip/out-of-range",
    message: expect.stringMatching(/--clip-skip.* is 3\. .*have 3 and \d layers.*at most 2/),
  });
  const seen: GenerateEvent[] = [];
  await expect(
    (async () => {
      for await (const event of fresh.generate({ ...base, clipSkip: 32 })) seen.push(event);
    })(),
  ).rejects.toThrow(code("clip-skip/out-of-range"));
  expect(seen).toEqual([]);
  await fresh.close();
});
