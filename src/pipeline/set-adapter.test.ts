import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { GenerateInput, LoadInput } from "../contract/request.ts";
import { goldenPath } from "../testing/golden.ts";
import { goldenJson } from "../testing/tensors.ts";
import { MAN_WITH_HAT, TINY_V1 } from "../testing/tiny-model.ts";
import { openTensors, readFloats, writeSafetensors } from "../weights/index.ts";
import { PhotoMaker } from "./photomaker.ts";

const folder = await mkdtemp(join(tmpdir(), "set-adapter-"));
vi.stubEnv("PHOTOMAKER_CACHE", folder);
afterAll(() => rm(folder, { recursive: true }));

const request: GenerateInput = { ...MAN_WITH_HAT, numInferenceSteps: 2, startMergeStep: 0 };
const plain: GenerateInput = { ...request, inputIdImages: undefined };
const ofV2: GenerateInput = { ...request, idEmbeds: { dtype: "f32", dims: [1, 512], data: new Float32Array(512).fill(0.1) } };
const V2 = goldenPath("tiny-photomaker-v2.bin");
const other = join(folder, "other.safetensors");

/** The tiny V1 adapter with other weights, in both of its parts. */
async function writeOther(path: string, factor: number): Promise<void> {
  const { tensors, metadata } = await openTensors(goldenPath("tiny-photomaker-v1.safetensors"));
  const changed = await Promise.all(
    [...tensors.values()].map(async (entry) => {
      const { name, shape } = entry;
      return { name, shape, dtype: "F32" as const, data: (await readFloats(entry)).map((v) => v * factor) };
    }),
  );
  await writeSafetensors(path, changed, metadata);
}
beforeAll(async () => {
  await copyFile(goldenPath("photomaker-config.json"), join(folder, "photomaker-config.json"));
  await writeOther(other, 1.1);
});

const drawn = async (pm: PhotoMaker, asked = request) => {
  const { latents, timings, images } = await pm.generate(asked);
  return { final: latents.final, loaded: Object.keys(timings.load), settings: images[0]!.settings };
};
const known = new Map<string, ReturnType<typeof drawn>>();
/** What a fresh load draws, drawn once for all tests. */
const fresh = (more: Partial<LoadInput>, asked = request) => {
  const key = JSON.stringify([more, asked]);
  if (!known.has(key)) known.set(key, draw());
  return known.get(key)!;
  async function draw() {
    await using pm = await PhotoMaker.load({ ...TINY_V1, ...more });
    return await drawn(pm, asked); // before it is closed
  }
};

test.each(["f32", "int8"] as const)(
  "%s: another adapter gives the picture of a fresh load with it, and models that it does not change stay loaded",
  async (precision) => {
    await using pm = await PhotoMaker.load({ ...TINY_V1, precision });
    const first = await drawn(pm);

    const notices = await pm.setAdapter(other);
    expect(notices.map(({ code }) => code)).toEqual(precision === "int8" ? ["precision/prepares-anew"] : []);
    if (precision === "int8") expect(notices[0]!.message).toMatch(/ next needed, or by prepare: id_encoder .*, unet /);
    const second = await drawn(pm); // the same photos, which are not known to this encoder
    const expected = await fresh({ adapter: other, precision });
    expect(second.final).toEqual(expected.final);
    expect(second.settings).toEqual(expected.settings);
    expect(second.final).not.toEqual(first.final);
    expect(second.loaded).toEqual(["id_encoder", "fuse_module", "unet"]);

    expect(await pm.setAdapter(V2, { adapterScale: 0.5 })).toHaveLength(notices.length);
    expect((await drawn(pm, ofV2)).final).toEqual((await fresh({ adapter: V2, adapterScale: 0.5, precision }, ofV2)).final);
    await expect(pm.generate(request)).rejects.toMatchObject({ code: "id-embeds/missing" });

    await pm.setAdapter(undefined);
    const without = await drawn(pm, plain);
    expect(without.final).toEqual((await fresh({ adapter: undefined, precision }, plain)).final);
    expect(without.loaded).toEqual(["unet"]);
    await expect(pm.generate(request)).rejects.toMatchObject({ code: "id-images/not-wanted" });

    await pm.setAdapter(TINY_V1.adapter, { adapterScale: 1 });
    expect((await drawn(pm)).final).toEqual(first.final);
    expect(await pm.setAdapter(TINY_V1.adapter)).toEqual([]);
    expect((await drawn(pm)).loaded).toEqual([]); // it is the same
  },
);

test("adapter and LoRAs change one after the other, and strengths stay", async () => {
  const loras = [{ path: goldenPath(goldenJson("lora", "index.json").cases[0].file), scale: 0.7 }];
  await using pm = await PhotoMaker.load({ ...TINY_V1, adapterScale: 0.8 });
  await pm.setLoras(loras);
  await pm.setAdapter(other);
  const expected = await fresh({ adapter: other, loras, adapterScale: 0.8 });
  expect((await drawn(pm)).final).toEqual(expected.final);
  await pm.setLoras(loras, { adapterScale: 0.3 });
  const weaker = await drawn(pm);
  expect(weaker.loaded).toEqual([]); // a strength of the new adapter is an input
  expect(weaker.final).toEqual((await fresh({ adapter: other, loras, adapterScale: 0.3 })).final);
});

test("files that were written anew in the same place are taken anew", async () => {
  const path = join(folder, "again.safetensors");
  await writeOther(path, 1.2);
  await using pm = await PhotoMaker.load({ ...TINY_V1, adapter: path });
  const before = await drawn(pm);
  await writeOther(path, 1.3);
  await pm.setAdapter(path);
  const after = await drawn(pm);
  expect(after.final).toEqual((await fresh({ adapter: path })).final);
  expect(after.final).not.toEqual(before.final);
});

test("a refused or cancelled change leaves the adapter as it was", async () => {
  await using pm = await PhotoMaker.load(TINY_V1);
  const before = await drawn(pm);
  for (const [adapter, code] of [
    [join(folder, "not-there.bin"), "path/missing"],
    [goldenPath("tiny-sdxl", "unet"), "adapter/not-found"],
    [goldenPath(goldenJson("lora", "index.json").cases[0].file), "adapter/wrong-kind"],
    ["", "adapter/empty"],
  ] as const)
    await expect(pm.setAdapter(adapter), adapter).rejects.toMatchObject({ code });
  await expect(pm.setAdapter(other, { adapterScale: 1000 })).rejects.toMatchObject({ code: "adapter-scale/out-of-range" });
  await expect(pm.setAdapter(other, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: "AbortError" });
  const late = new AbortController();
  const changing = pm.setAdapter(other, { signal: late.signal });
  setTimeout(() => late.abort()); // when it has begun
  await expect(changing).rejects.toMatchObject({ name: "AbortError" });
  const after = await drawn(pm);
  expect(after.final).toEqual(before.final);
  expect(after.settings).toEqual(before.settings);
});

test("a change waits for requests before it, and holds for those after it", async () => {
  await using pm = await PhotoMaker.load(TINY_V1);
  const [before, , after] = await Promise.all([drawn(pm), pm.setAdapter(other), drawn(pm)]);
  expect(before.final).toEqual((await fresh({ precision: "f32" })).final);
  expect(after.final).toEqual((await fresh({ adapter: other, precision: "f32" })).final);
  const [, back] = await Promise.all([pm.setAdapter(TINY_V1.adapter), drawn(pm)]);
  expect(back.final).toEqual(before.final);
});
