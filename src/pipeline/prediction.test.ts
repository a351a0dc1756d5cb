import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { GenerateInput, LoadInput } from "../contract/request.ts";
import { goldenPath } from "../testing/golden.ts";
import { type Made, safetensorsOf, single } from "../testing/number-formats.ts";
import { singleFileBytes, singleFileHeader } from "../testing/single-file.ts";
import { goldenJson, goldenTensors } from "../testing/tensors.ts";
import { MAN_WITH_HAT, TINY_V1 } from "../testing/tiny-model.ts";
import { inScaleOfSdxl, tinyScale, unscaled } from "./decode/latent-scale.ts";
import { PhotoMaker } from "./photomaker.ts";

// reference/edm_pictures.py
const { arguments: given, seed } = goldenJson("edm", "pictures.json");
const golden = await goldenTensors("edm", "pictures.safetensors");
const REQUEST = {
  prompt: given.prompt,
  negativePrompt: given.negative_prompt,
  numInferenceSteps: given.num_inference_steps,
  guidanceScale: given.guidance_scale,
  guidanceRescale: given.guidance_rescale,
  height: given.height,
  width: given.width,
  seed,
};
const MODEL_CONFIG = goldenPath("tiny-sdxl");

let folder: string;
let tensors: ReadonlyMap<string, Made>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "prediction-"));
  const bytes = await singleFileBytes();
  tensors = new Map([...bytes].map(([name, data]) => [name, { dtype: "F16", shape: singleFileHeader[name]![1], data }]));
});
afterAll(() => rm(folder, { recursive: true }));

const COSXL: [string, Made][] = [
  ["edm_vpred.sigma_max", single([120], [])],
  ["edm_vpred.sigma_min", single([0.002], [])],
];
const PLAYGROUND: [string, Made][] = [
  ["edm_mean", single([-1.6574, 1.886, -1.383, 2.5155], [1, 4, 1, 1])],
  ["edm_std", single([8.4927, 5.9022, 6.5498, 5.2299], [1, 4, 1, 1])],
];

let files = 0;
/** The tiny model as a single file, with more tensors; its configs are those of SDXL. */
async function singleFile(marks: readonly [string, Made][]): Promise<LoadInput> {
  const model = join(folder, `${files++}.safetensors`);
  await writeFile(model, safetensorsOf(new Map([...tensors, ...marks])));
  return { model, modelConfig: MODEL_CONFIG };
}

/** The tiny model as a folder, with other configs. */
async function modelFolder(scheduler: object, vae: object = {}): Promise<LoadInput> {
  const model = join(folder, `${files++}`);
  await cp(MODEL_CONFIG, model, { recursive: true });
  await writeFile(join(model, "scheduler/scheduler_config.json"), JSON.stringify(scheduler));
  const config = join(model, "vae/config.json");
  await writeFile(config, JSON.stringify({ ...JSON.parse(await readFile(config, "utf8")), ...vae }));
  return { model };
}

const PLAYGROUND_VAE = {
  latents_mean: [-1.6574, 1.886, -1.383, 2.5155],
  latents_std: [8.4927, 5.9022, 6.5498, 5.2299],
  scaling_factor: 0.5,
};

// the other ways to say a prediction give the same schedules: weights/prediction.test.ts
const SOURCES: readonly (readonly [name: string, what: string, () => Promise<LoadInput>])[] = [
  ["cosxl", "a file with its marks", () => singleFile(COSXL)],
  ["playground", "a file with its marks", () => singleFile(PLAYGROUND)],
  [
    "playground",
    "a folder with EDMDPMSolverMultistepScheduler and latents_mean",
    () => modelFolder({ _class_name: "EDMDPMSolverMultistepScheduler" }, PLAYGROUND_VAE),
  ],
  [
    "v-zero-snr",
    "a folder that says epsilon, by --prediction and --zero-terminal-snr",
    async () => ({ model: MODEL_CONFIG, prediction: "v", zeroTerminalSnr: true }),
  ],
];

test.each(SOURCES)("%s equals the picture of diffusers: %s", async (name, _, source) => {
  await using pm = await PhotoMaker.load(await source());
  const { images, latents } = await pm.generate(REQUEST);
  expect(latents.final).toMatchGolden((await golden.floats(`${name}.latents`)).data, 1e-3, { relative: true });
  const want = await golden.integers(`${name}.picture`);
  const got = new Uint8Array(await sharp(images[0]!.png).raw().toBuffer());
  expect(got).toHaveLength(want.length);
  expect(Math.max(...got.map((v, i) => Math.abs(v - want[i]!)))).toBeLessThanOrEqual(1);
});

test("people are drawn over continuous noise levels, too, with guidance and its rescaling, by any sampler for them", async () => {
  await using pm = await PhotoMaker.load({ ...(await singleFile(PLAYGROUND)), adapter: TINY_V1.adapter });
  const latentsOf = async (more: GenerateInput) => {
    const { latents } = await pm.generate({
      ...more,
      numInferenceSteps: 3,
      guidanceScale: 3,
      guidanceRescale: 0.5,
      startMergeStep: 0,
    });
    expect(latents.final.every(Number.isFinite)).toBe(true);
    return latents.final;
  };
  const one = await latentsOf({ ...MAN_WITH_HAT, scheduler: "euler_a" });
  const other = await latentsOf({ ...MAN_WITH_HAT, scheduler: "euler_a", inputIdImages: [goldenPath("photos", "person_1.png")] });
  expect(other).not.toEqual(one);
  await expect(pm.generate({ ...MAN_WITH_HAT, scheduler: "lcm" })).rejects.toMatchObject({ code: "scheduler/edm" });
  await expect(pm.generate({ ...MAN_WITH_HAT, timestepSpacing: "trailing" })).rejects.toMatchObject({ code: "scheduler/edm" });
});

test("previews and the tiny VAE know the scale of such latents", async () => {
  const scale = { scalingFactor: 0.5, shiftFactor: 0, latentsMean: [1, 2], latentsStd: [4, 8] };
  const latents = { channels: 2, data: Float32Array.of(1, 2, 3, 4) };
  const raw = [4 / 0.5 + 1, 8 / 0.5 + 1, 24 / 0.5 + 2, 32 / 0.5 + 2];
  expect(unscaled(latents, scale)).toEqual(Float32Array.from(raw));
  const sdxl = Float32Array.from(raw, (v) => v * 0.13025);
  expect(inScaleOfSdxl(latents, scale)).toMatchGolden(sdxl, 1e-6, { relative: true });
  // a tiny autoencoder takes SDXL's latents, in a scale and with a shift of its own
  const tiny = tinyScale({ scalingFactor: 2, shiftFactor: 0.5 }, scale);
  expect(unscaled(latents, tiny)).toMatchGolden(
    sdxl.map((v) => v / 2 + 0.5),
    1e-6,
    { relative: true },
  );
  const plain = { scalingFactor: 1, shiftFactor: 0 };
  expect(tinyScale(plain, { scalingFactor: 0.13025, shiftFactor: 0 })).toBe(plain);
});
