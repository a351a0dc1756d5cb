import { afterAll, beforeAll, expect, test } from "vitest";
import { requestFromSettings } from "../../contract/request-from-settings.ts";
import { type FloatArray, floats } from "../../core/array.ts";
import { EncodingCache } from "../../sessions/encoding-cache.ts";
import { goldenPath } from "../../testing/golden.ts";
import { TINY_V1 } from "../../testing/tiny-model.ts";
import { PhotoMaker } from "../photomaker.ts";
import { Progress } from "../progress.ts";
import { encodeIdImages } from "./encode.ts";
import type { IdEncoder } from "./id-stage.ts";

const photos = ["person_0", "other"].map((name) => goldenPath("photos", `${name}.png`));
const request = { prompt: "a photo of a man img", width: 64, height: 64, numInferenceSteps: 2, startMergeStep: -1, seed: 1 };

let pm: PhotoMaker;
beforeAll(async () => {
  pm = await PhotoMaker.load(TINY_V1);
});
afterAll(() => pm.close());

test("ID tokens of photos give the photos' picture, and other tokens another one", async () => {
  const wanted = await pm.generate({ ...request, inputIdImages: photos });
  const idTokens = await pm.encodeIdImages(photos);
  expect(idTokens.dims[0]).toBe(2);
  const same = await pm.generate({ ...request, idTokens });
  for (const people of [[{ photos }], [{ idTokens }]])
    expect((await pm.generate({ ...request, people })).latents.final).toEqual(wanted.latents.final);
  expect(same.latents.final).toEqual(wanted.latents.final);
  expect(same.images[0]!.settings).toMatchObject({ idTokens: `<numbers [${idTokens.dims.join(", ")}]>`, inputIdImages: [] });
  const again = requestFromSettings(same.images[0]!.settings);
  expect(again.missing.map(({ key }) => key)).toEqual(["idTokens", "model", "adapter"]);
  const redrawn = await pm.generate({ ...again.request, idTokens });
  expect(redrawn.latents.final).toEqual(wanted.latents.final);
  expect(redrawn.images[0]!.settings).toEqual(same.images[0]!.settings);
  const first = floats(idTokens.data.slice(0, idTokens.dims[1]), 1, idTokens.dims[1]!);
  const other = await pm.generate({ ...request, idTokens: first });
  expect(other.latents.final).not.toEqual(wanted.latents.final);
});

test("an ID encoder that fails is unloaded where each model is after its use", async () => {
  let unloads = 0;
  const encode = { name: "id_encoder", get: () => Promise.reject(new Error("lost")), unload: async () => void unloads++ };
  const graph = { image: 8, faceWidth: 0, tokensPerPhoto: 1, width: 4 };
  const identity = { graph, encode, everyToken: false, changes: 0 } as unknown as IdEncoder;
  const encoders = { identity, cache: new EncodingCache(0), unloadAfterUse: true };
  const progress = new Progress(() => {}, new AbortController().signal);
  await expect(encodeIdImages(encoders, { inputIdImages: photos }, progress)).rejects.toThrow("lost");
  expect(unloads).toBe(1);
});

const tokens = (...dims: number[]): FloatArray => floats(new Float32Array(dims.reduce((a, b) => a * b, 1)), ...dims);

test("ID tokens of another shape are refused", async () => {
  await expect(pm.generate({ ...request, idTokens: tokens(1, 3) })).rejects.toMatchObject({ code: "id-tokens/shape" });
  await expect(pm.generate({ ...request, idTokens: tokens(1, 3), inputIdImages: photos })).rejects.toMatchObject({
    code: "id-tokens/given-twice",
  });
  await using plain = await PhotoMaker.load({ model: goldenPath("tiny-sdxl") });
  await expect(plain.generate({ ...request, idTokens: tokens(1, 3) })).rejects.toMatchObject({ code: "id-tokens/not-wanted" });
  await expect(plain.encodeIdImages(photos)).rejects.toMatchObject({ code: "id-images/not-wanted" });
  await expect(pm.encodeIdImages("a.jpg" as never)).rejects.toMatchObject({ code: "id-images/wrong-type" });
  await expect(pm.encodeIdImages(photos, { idEmbeds: { data: new Float32Array(2) } as never })).rejects.toMatchObject({
    code: "id-embeds/wrong-type",
  });
  await expect(pm.encodeIdImages([])).rejects.toMatchObject({ code: "id-images/missing" });
});
