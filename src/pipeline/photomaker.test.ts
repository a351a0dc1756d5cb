import sharp from "sharp";
import { afterAll, describe, expect, test } from "vitest";
import type { GenerateInput, LoadInput } from "../contract/request.ts";
import { goldenPath, hasGolden } from "../testing/golden.ts";
import { goldenJson, goldenTensors } from "../testing/tensors.ts";
import { PhotoMaker } from "./photomaker.ts";

/** Pipelines by their load options: cases share them, as a server's requests do. */
const loaded = new Map<string, Promise<PhotoMaker>>();
function load(options: LoadInput): Promise<PhotoMaker> {
  const key = JSON.stringify(options);
  const known = loaded.get(key) ?? PhotoMaker.load(options);
  loaded.set(key, known);
  return known;
}
afterAll(async () => {
  for (const pm of loaded.values()) await (await pm).close();
});

/** Reads a case file of the reference as a request and load options. */
function fromCase(folder: string, name: string): { options: LoadInput; request: GenerateInput; images: string[] } {
  const c = goldenJson(folder, name, "case.json");
  const a = c.arguments;
  const version = a.version as "v1" | "v2" | undefined;
  const set = (key: string, value: unknown): object => (value === undefined || value === null ? {} : { [key]: value });
  return {
    options: {
      model: goldenPath("tiny-sdxl"),
      ...set("adapter", version && goldenPath(`tiny-photomaker-${version}.bin`)),
      ...set(
        "loras",
        a.lora?.endsWith?.(".safetensors") ? [{ path: goldenPath("lora", a.lora), scale: a.weights[1] }] : undefined,
      ),
    },
    request: {
      prompt: a.prompt,
      promptSyntax: "none",
      ...set("prompt2", a.prompt_2),
      ...set("negativePrompt", a.negative_prompt),
      ...set("negativePrompt2", a.negative_prompt_2),
      ...set(
        "inputIdImages",
        a.photos?.map((p: string) => goldenPath("photos", p)),
      ),
      ...set("idEmbeds", version === "v2" ? goldenPath(folder, name, "expected.safetensors") : undefined),
      width: a.width,
      height: a.height,
      numInferenceSteps: a.steps,
      guidanceScale: a.guidance_scale,
      ...set("startMergeStep", a.start_merge_step),
      scheduler: a.scheduler,
      ...set("eta", a.eta),
      seed: a.seed,
      ...set("numImagesPerPrompt", a.num_images_per_prompt),
      ...set("guidanceRescale", a.guidance_rescale),
      ...set("clipSkip", a.clip_skip),
      ...set("originalSize", a.original_size),
      ...set("targetSize", a.target_size),
      ...set("cropsCoordsTopLeft", a.crops_coords_top_left),
      ...set("negativeOriginalSize", a.negative_original_size),
      ...set("negativeTargetSize", a.negative_target_size),
      ...set("negativeCropsCoordsTopLeft", a.negative_crops_coords_top_left),
    },
    images: c.expected.images,
  };
}

const plain = ["sdxl-t2i-euler", "sdxl-t2i-two-prompts", "sdxl-lcm", "sdxl-tcd", "photomaker-v2-lcm", "photomaker-v1-style-lora"];
const cases: [string, string][] = [
  ...(goldenJson("pipelines", "index.json").cases as string[]).map((name): [string, string] => ["pipelines", name]),
  ...plain.filter((name) => hasGolden("later", name, "case.json")).map((name): [string, string] => ["later", name]),
];

describe("pictures equal the reference's, from their seeds", () => {
  test.each(cases)("%s/%s", async (folder, name) => {
    const { options, request, images } = fromCase(folder, name);
    const result = await (await load(options)).generate(request);
    expect(result.images).toHaveLength(images.length);
    const golden = await goldenTensors(folder, name, "expected.safetensors");
    const recorded = { initial_noise: [result.latents.initialNoise, 5e-6], latents_final: [result.latents.final, 3e-2] } as const;
    for (const [tensor, [actual, tolerance]] of Object.entries(recorded))
      if (golden.has(tensor)) expect(actual).toMatchGolden((await golden.floats(tensor)).data, tolerance);
    for (const [i, image] of images.entries()) {
      const expected = await sharp(goldenPath(folder, name, image))
        .removeAlpha()
        .raw()
        .toBuffer();
      const actual = await sharp(result.images[i]!.png).removeAlpha().raw().toBuffer();
      expect(actual).toMatchGolden(expected, 2);
      const mean = expected.reduce((sum, v, k) => sum + Math.abs(v - actual[k]!), 0) / expected.length;
      expect(mean).toBeLessThan(0.02);
    }
  });
});
