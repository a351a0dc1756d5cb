import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { GenerateInput, LoadInput } from "../contract/request.ts";
import { goldenPath } from "../testing/golden.ts";
import { randomArray } from "../testing/random-array.ts";
import { TINY_V1 } from "../testing/tiny-model.ts";
import { changedWeight } from "../weights/changed-weight.ts";
import { matchLora, patchOf } from "../weights/lora-match.ts";
import { openTensors } from "../weights/open-tensors.node.ts";
import { readFloats } from "../weights/read-tensor.ts";
import { copyTensor, type TensorToWrite, writeSafetensors } from "../weights/safetensors-write.node.ts";
import { PhotoMaker } from "./photomaker.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lora-kin-"));
  vi.stubEnv("PHOTOMAKER_CACHE", join(folder, "cache"));
});
afterAll(() => rm(folder, { recursive: true }));

const request: GenerateInput = { prompt: "a cat", width: 64, height: 64, numInferenceSteps: 2, seed: 1 };
const [model, { adapter }] = [TINY_V1.model, TINY_V1];
const drawn = async (options: LoadInput, input = request) => {
  await using pm = await PhotoMaker.load(options);
  const { latents } = await pm.generate(input);
  return { latents: latents.final, notices: pm.notices.map(({ code }) => code) };
};
const kin = (kind: string): string => goldenPath("lora", "kin", `${kind}.safetensors`);
const FILE = "diffusion_pytorch_model.safetensors";

/** The tiny model with the changes of a file in the weights of its UNet. */
async function merged(path: string, strength: number): Promise<string> {
  const into = await mkdtemp(join(folder, "merged-"));
  await cp(model, into, { recursive: true });
  const unet = (await openTensors(join(model, "unet", FILE))).tensors;
  const { tensors, metadata } = await openTensors(path);
  const { layers, patches } = await matchLora(tensors, { unet }, metadata);
  const all = [...layers.map(patchOf), ...patches];
  await rm(join(into, "unet", FILE));
  const written: TensorToWrite[] = [];
  for (const entry of unet.values()) {
    const own = all.filter(({ target }) => target === entry.name).map((patch) => ({ patch, strength }));
    if (own.length === 0) written.push(copyTensor(entry));
    else written.push({ ...copyTensor(entry), dtype: "F32", data: await readFloats(changedWeight(entry, own)) });
  }
  await writeSafetensors(join(into, "unet", FILE), written);
  return into;
}

/** A LoHa for a layer that is large enough to be computed in 8 bits. */
async function large(): Promise<string> {
  const unet = (await openTensors(join(model, "unet", FILE))).tensors;
  const [name, { shape }] = [...unet].find(([path, one]) => path.includes(".ff.") && one.shape.length === 2)!;
  const [out, into] = shape as [number, number];
  const layer = `lora_unet_${name.replace(/\.weight$/, "").replaceAll(".", "_")}`;
  const part = (key: string, ...dims: number[]): TensorToWrite => ({
    name: `${layer}.${key}`,
    dtype: "F32",
    shape: dims,
    data: dims.length === 0 ? Float32Array.of(4) : randomArray(key.length + dims[0]!, ...dims).data.map((x) => x * 0.5),
  });
  const path = join(folder, "large.safetensors");
  await writeSafetensors(path, [
    part("hada_w1_a", out, 4),
    part("hada_w1_b", 4, into),
    part("hada_w2_a", out, 3),
    part("hada_w2_b", 3, into),
    part("alpha"),
  ]);
  return path;
}

test.each(["f32", "int8"] as const)("%s: each kind draws as the model does that has it in its weights", async (precision) => {
  const plain = (await drawn({ model, precision })).latents;
  const kinds = precision === "f32" ? ["loha", "dora_columns", "glora_conv", "full", "peft_bias"] : ["boft", "norm"];
  for (const path of [...kinds.map(kin), await large()]) {
    const { latents, notices } = await drawn({ model, precision, loras: [{ path, scale: 0.7 }] });
    expect(notices).not.toContain("lora/unmatched");
    // a branch beside a layer rounds otherwise than the merged weight
    expect(latents, path).toMatchGolden((await drawn({ model: await merged(path, 0.7), precision })).latents, 1e-4);
    expect(latents, path).not.toEqual(plain);
  }
});

test("what was computed is kept, and taken the next time; a damaged file is made again", async () => {
  vi.stubEnv("PHOTOMAKER_CACHE", join(folder, "kept"));
  const options: LoadInput = { model, precision: "f32", loras: [{ path: kin("loha"), scale: 0.5 }] };
  const first = await drawn(options);
  const files = await readdir(join(folder, "kept"));
  expect(files).toHaveLength(2); // weights and their record
  expect((await drawn(options)).latents).toEqual(first.latents);
  expect(await readdir(join(folder, "kept"))).toEqual(files);
  await rm(join(folder, "kept", files.find((name) => name.endsWith(".safetensors"))!));
  expect((await drawn(options)).latents).toEqual(first.latents);
  expect(await readdir(join(folder, "kept"))).toEqual(files);
  await drawn({ ...options, loras: [{ path: kin("loha"), scale: 0.6 }] });
  expect(await readdir(join(folder, "kept"))).toHaveLength(4);
  vi.stubEnv("PHOTOMAKER_CACHE", join(folder, "cache"));
});

test("files act in their order, beside the adapter, and change on a loaded model", async () => {
  const [dora, plain] = [
    { path: kin("dora_rows"), scale: 0.8 },
    { path: goldenPath("lora", "peft.safetensors"), scale: 0.5 },
  ];
  const input = {
    ...request,
    numInferenceSteps: 1,
    prompt: "a man img",
    inputIdImages: [goldenPath("photos", "person_0.png")],
    startMergeStep: 0,
  };
  const fresh = async (...loras: (typeof dora)[]) => (await drawn({ model, adapter, loras }, input)).latents;
  const [one, two] = [await fresh(dora, plain), await fresh(plain, dora)];
  expect(one).not.toEqual(two);
  await using pm = await PhotoMaker.load({ model, adapter, loras: [plain] });
  const now = async () => (await pm.generate(input)).latents.final;
  const before = await now();
  await pm.setLoras([dora, plain]);
  expect(await now()).toEqual(one);
  await pm.setLoras([plain, dora]);
  expect(await now()).toEqual(two);
  await pm.setLoras([plain, { ...dora, scale: 0.3 }]);
  expect(await now()).not.toEqual(two);
  await pm.setLoras([plain]);
  expect(await now()).toEqual(before);
});
