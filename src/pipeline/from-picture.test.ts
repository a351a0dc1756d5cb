import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CliTools } from "../cli/run-cli.ts";
import type { GenerateInput } from "../contract/request.ts";
import { requestFromSettings } from "../contract/request-from-settings.ts";
import { readPngSettings } from "../image/index.ts";
import { goldenPath } from "../testing/golden.ts";
import { cli } from "../testing/run-cli.ts";
import { goldenJson, goldenTensors } from "../testing/tensors.ts";
import { TINY_V1 } from "../testing/tiny-model.ts";
import { openTensors } from "../weights/open-tensors.node.ts";
import { readFloats } from "../weights/read-tensor.ts";
import { writeSafetensors } from "../weights/safetensors-write.node.ts";
import { PhotoMaker } from "./photomaker.ts";

/** A picture that diffusers drew over another: reference/from_picture.py. */
interface Case {
  readonly key: string;
  readonly kind: "img2img" | "inpaint" | "fill";
  readonly sampler: string;
  readonly strength: number;
  readonly images?: number;
  readonly init?: string;
  readonly eta: number;
}
const { cases, seed, arguments: a } = goldenJson("from-picture", "cases.json");
const golden = await goldenTensors("from-picture", "latents.safetensors");
const fixture = (name: string): string => goldenPath("from-picture", name);
const [init, mask] = [fixture("init.png"), fixture("mask.png")];

let folder: string;
let plain: PhotoMaker;
let filling: PhotoMaker;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "from-picture-"));
  plain = await PhotoMaker.load({ model: goldenPath("tiny-sdxl") });
  filling = await PhotoMaker.load({ model: await fillingModel(join(folder, "filling")) });
});
afterAll(async () => {
  await Promise.all([plain.close(), filling.close()]);
  await rm(folder, { recursive: true });
});

/** The tiny model with a UNet for inpainting, whose first convolution takes 9 channels. */
async function fillingModel(path: string): Promise<string> {
  await cp(goldenPath("tiny-sdxl"), path, { recursive: true });
  const weights = join(path, "unet", "diffusion_pytorch_model.safetensors");
  const { tensors } = await openTensors(goldenPath("tiny-sdxl", "unet", "diffusion_pytorch_model.safetensors"));
  const all = [];
  for (const [name, entry] of tensors) {
    const given = name === "conv_in.weight" ? await golden.floats(name) : { dims: entry.shape, data: await readFloats(entry) };
    all.push({ name, dtype: "F32" as const, shape: given.dims, data: given.data as Float32Array });
  }
  await writeSafetensors(weights, all);
  const config = join(path, "unet", "config.json");
  await writeFile(config, JSON.stringify({ ...JSON.parse(await readFile(config, "utf8")), in_channels: 9 }));
  return path;
}

const request = (more: Partial<GenerateInput> = {}): GenerateInput => ({
  prompt: a.prompt,
  negativePrompt: a.negative_prompt,
  promptSyntax: "none",
  numInferenceSteps: a.num_inference_steps,
  guidanceScale: a.guidance_scale,
  image: init,
  seed,
  ...more,
});

describe("a picture drawn over another equals the one of diffusers, from the seed", () => {
  test.each(cases as Case[])("$key", async ({ key, kind, sampler, strength, images = 1, init: name = "init", eta }) => {
    const { latents } = await (kind === "fill" ? filling : plain).generate(
      request({
        ...{ scheduler: sampler as "euler", strength, eta, numImagesPerPrompt: images, image: fixture(`${name}.png`) },
        ...(kind !== "img2img" && { maskImage: mask }),
      }),
    );
    expect(latents.final).toMatchGolden((await golden.floats(key)).data, 3e-2);
  });
});

test.each(["img2img", "inpaint"])("through the command line, a seed gives the reference's picture: %s", async (name) => {
  const { arguments: given } = goldenJson("later", name, "case.json");
  const out = join(folder, `${name}.png`);
  const files = ["--init-image", goldenPath("later", name, "init.png"), "--model", goldenPath("tiny-sdxl"), "--out", out];
  const numbers = ["width", "height", "steps", "strength", "guidance_scale", "seed", "scheduler"].flatMap((key) => [
    `--${key.replace("_", "-")}`,
    String(given[key]),
  ]);
  const masks = name === "inpaint" ? ["--mask", goldenPath("later", name, "mask.png")] : [];
  const load: CliTools["load"] = (options, how) => PhotoMaker.load(options, how);
  const { code, err } = await cli(["generate", "-p", given.prompt, ...files, ...numbers, ...masks], { load });
  expect(code, err).toBe(0);
  const [made, expected] = [await rawOf(out), await rawOf(goldenPath("later", name, "image_0.png"))];
  expect(made).toHaveLength(expected.length);
  const mean = expected.reduce((sum, v, i) => sum + Math.abs(v - made[i]!), 0) / expected.length;
  expect(mean).toBeLessThan(0.02);
});

/** Pixels of the first picture of a request. */
async function pixelsOf(pm: PhotoMaker, input: GenerateInput): Promise<{ data: Buffer; width: number; height: number }> {
  const [image] = (await pm.generate(input)).images;
  const { data, info } = await sharp(image!.png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

const rawOf = (file: string): Promise<Buffer> => sharp(file).removeAlpha().raw().toBuffer();

/** A grey PNG of shades by place. */
async function greyPng(name: string, width: number, height: number, shade: (x: number, y: number) => number): Promise<string> {
  const path = join(folder, `${name}.png`);
  const data = Uint8Array.from({ length: width * height }, (_, i) => shade(i % width, Math.floor(i / width)));
  await sharp(data, { raw: { width, height, channels: 1 } })
    .png()
    .toFile(path);
  return path;
}

test("pasted back, what the mask keeps is the picture that was given, to the bit", async () => {
  const { data } = await pixelsOf(plain, request({ maskImage: mask, pasteBack: true }));
  const [given, white] = [await rawOf(init), await rawOf(mask)];
  const changed = data.filter((v, i) => v !== given[i]).length;
  expect(data.every((v, i) => white[i]! >= 128 || v === given[i])).toBe(true);
  expect(changed).toBeGreaterThan(500);
  const { data: bare } = await pixelsOf(plain, request({ maskImage: mask }));
  expect(bare.every((v, i) => white[i]! >= 128 || v === given[i])).toBe(false);
  expect(data.every((v, i) => white[i]! < 128 || v === bare[i])).toBe(true);
});

test("grey parts of a mask change less than white ones, and black ones do not change", async () => {
  const stairs = await greyPng("stairs", 64, 64, (x) => [0, 80, 170, 255][Math.floor(x / 16)]!);
  const { latents, notices } = await plain.generate(request({ maskImage: stairs, strength: 1, numInferenceSteps: 12 }));
  expect(notices.map(({ code }) => code)).toContain("mask/soft");
  const { latents: kept } = await plain.generate(request({ maskImage: await greyPng("dot", 64, 64, (x) => (x < 8 ? 255 : 0)) }));
  const apart = [2, 3, 4, 5, 6, 7].map((column) => {
    const rows = Array.from({ length: 32 }, (_, row) => row * 8 + column);
    return rows.reduce((sum, i) => sum + Math.abs(latents.final[i]! - kept.final[i]!), 0) / rows.length;
  });
  const [light, , middle] = apart;
  expect(light).toBeGreaterThan(0);
  expect(apart[4]).toBeGreaterThan(middle!);
  expect(middle).toBeGreaterThan(light!);
  const black = Array.from({ length: 32 }, (_, row) => row * 8);
  const { latents: other } = await plain.generate(request({ maskImage: stairs, strength: 0.5, prompt: "a red car" }));
  for (const i of black) expect(latents.final[i]).toBe(other.final[i]); // both are the picture's own
});

test("a mask of black and white is drawn alike, whether it is taken for a map or not", async () => {
  const half = await greyPng("half", 64, 64, (x) => (x < 32 ? 255 : 0));
  const nearly = await greyPng("nearly", 64, 64, (x, y) => (x < 32 ? 255 : x === 63 && y === 63 ? 17 : 0));
  const [hard, soft] = [
    await plain.generate(request({ maskImage: half, scheduler: "euler", strength: 0.6 })),
    await plain.generate(request({ maskImage: nearly, scheduler: "euler", strength: 0.6 })),
  ];
  expect(soft.notices.map(({ code }) => code)).toContain("mask/soft");
  expect(hard.notices.map(({ code }) => code)).not.toContain("mask/soft");
  expect(soft.latents.final.subarray(0, 7)).toMatchGolden(hard.latents.final.subarray(0, 7), 0.02);
});

test("the mask's surroundings alone are drawn large and put back; the rest stays to the bit", async () => {
  const wide = fixture("wide.png"); // 131x69
  const spot = await greyPng("spot", 131, 69, (x, y) => (x >= 90 && x < 106 && y >= 20 && y < 36 ? 255 : 0));
  const input = request({ image: wide, maskImage: spot, inpaintArea: "masked", maskPadding: 8, width: 64, height: 64 });
  const { data, width, height } = await pixelsOf(plain, input);
  expect([width, height]).toEqual([131, 69]);
  const [given, white] = [await rawOf(wide), await sharp(spot).toColourspace("srgb").removeAlpha().raw().toBuffer()];
  expect(data.every((v, i) => white[i]! >= 128 || v === given[i])).toBe(true);
  expect(data.filter((v, i) => v !== given[i]).length).toBeGreaterThan(300);
  const { latents, images } = await plain.generate(input);
  expect(latents.dims).toEqual([1, 4, 8, 8]); // 32x32 of the picture, drawn at 64x64
  expect(images[0]).toMatchObject({ width: 131, height: 69, settings: { width: 64, height: 64, inpaintArea: "masked" } });
});

test("a picture grows at the sides that are asked for, and keeps its middle", async () => {
  const { data, width, height } = await pixelsOf(plain, request({ outpaint: [0, 0, 48, 16] }));
  expect([width, height]).toEqual([112, 80]);
  const given = await rawOf(init);
  for (const [x, y] of [
    [0, 0],
    [10, 20],
    [31, 31],
  ] as const)
    expect(data.subarray(3 * (y * 112 + x), 3 * (y * 112 + x) + 3)).toEqual(
      given.subarray(3 * (y * 64 + x), 3 * (y * 64 + x) + 3),
    );
  const { data: again } = await pixelsOf(plain, request({ outpaint: [0, 0, 48, 16], seed: 5 }));
  expect(again.subarray(3 * 100, 3 * 110)).not.toEqual(data.subarray(3 * 100, 3 * 110)); // the new side is drawn
});

test("a UNet that fills masks takes soft ones, and grown pictures", async () => {
  const soft = await filling.generate(request({ maskImage: mask, maskBlur: 4, strength: 0.8 }));
  const hard = await filling.generate(request({ maskImage: mask, strength: 0.8 }));
  expect(soft.latents.final).not.toEqual(hard.latents.final);
  expect(soft.notices.map(({ code }) => code)).not.toContain("mask/soft"); // what was given is hard
  const grown = await filling.generate(request({ outpaint: [16, 16, 16, 16] }));
  expect(grown.images[0]).toMatchObject({ width: 96, height: 96 });
});

test("merge steps count in the full schedule: a run of its last steps has the person from the start", async () => {
  await using pm = await PhotoMaker.load(TINY_V1);
  const person: Partial<GenerateInput> = {
    ...{ prompt: "a photo of a man img", inputIdImages: [goldenPath("photos", "person_0.png")], numInferenceSteps: 10 },
    ...{ strength: 0.4, promptSyntax: "a1111" },
  };
  const drawn = async (startMergeStep: number) => (await pm.generate(request({ ...person, startMergeStep }))).latents.final;
  const [always, before, after, never] = [await drawn(-1), await drawn(5), await drawn(6), await drawn(9)];
  expect(before).toEqual(always);
  expect(after).not.toEqual(always);
  expect(never).not.toEqual(after);
});

test("DeepCache and T-GATE work from the middle of a run", async () => {
  const base = request({ strength: 0.5, scheduler: "euler" });
  const plainly = await plain.generate(base);
  for (const faster of [{ deepCache: 2 }, { tGate: 6 }, { tGate: 2 }, { tokenDownsampling: 2 }]) {
    const { latents, timings } = await plain.generate({ ...base, ...faster });
    expect(timings.evaluations).toHaveLength(4);
    expect(latents.final.every(Number.isFinite)).toBe(true);
    expect(latents.final).not.toEqual(plainly.latents.final);
  }
});

test("settings in the picture make it again, and name the files without folders", async () => {
  const input = request({ maskImage: mask, maskBlur: 2, strength: 0.7, scheduler: "euler" });
  const made = await plain.generate(input);
  const { parameters, settings } = readPngSettings(made.images[0]!.png);
  expect(parameters).toContain("Denoising strength: 0.7, Mask blur: 2");
  expect(settings).toMatchObject({ image: "init.png", maskImage: "mask.png", strength: 0.7, width: 64, height: 64 });
  const { request: back, missing } = requestFromSettings(settings);
  expect(missing.map(({ key, name }) => `${key} ${name}`)).toEqual(
    expect.arrayContaining(["image init.png", "maskImage mask.png"]),
  );
  const again = await plain.generate({ ...back, image: init, maskImage: mask });
  expect(again.latents.final).toEqual(made.latents.final);
  expect(readPngSettings(again.images[0]!.png)).toEqual({ parameters, settings });
});

test("requests that start from pictures are drawn together as alone", async () => {
  const pair = [request({ strength: 0.5 }), request({ strength: 0.5, seed: 4, image: fixture("mask.png") })];
  const together = await plain.generateTogether(pair);
  for (const [i, one] of pair.entries())
    expect(together[i]!.latents.final).toMatchGolden((await plain.generate(one)).latents.final, 1e-3);
  await expect(plain.generateTogether([pair[0]!, request({ strength: 0.6 })])).rejects.toMatchObject({ code: "requests/differ" });
  await expect(
    plain.generateTogether([pair[0]!, { ...request(), image: undefined, width: 64, height: 64 }]),
  ).rejects.toMatchObject({
    code: "requests/differ",
  });
});

describe("what cannot be drawn is refused before anything is loaded", () => {
  test.each<[string, string, Partial<GenerateInput>]>([
    ["a strength of 0", "strength/invalid", { strength: 0 }],
    ["a strength that takes no step", "strength/invalid", { strength: 0.05 }],
    ["a picture that is not there", "photo/missing", { image: "none.png" }],
    ["a mask that is not there", "photo/missing", { maskImage: "none.png" }],
  ])("%s", async (_, code, more) => {
    await expect(plain.generate(request(more))).rejects.toMatchObject({ code });
  });

  test("masks that are empty, too small or of another shape; a picture smaller than a latent", async () => {
    const refusals: [string, string, Partial<GenerateInput>][] = [
      ["black", "mask/empty", { maskImage: await greyPng("black", 64, 64, () => 0) }],
      ["a point", "mask/empty", { maskImage: await greyPng("point", 64, 64, (x, y) => (x === 3 && y === 3 ? 255 : 0)) }],
      ["a wide one", "mask/size", { maskImage: await greyPng("other", 96, 64, () => 255) }],
      ["a speck", "image/too-small", { image: await greyPng("speck", 3, 3, () => 255) }],
    ];
    for (const [what, code, more] of refusals) await expect(plain.generate(request(more)), what).rejects.toMatchObject({ code });
  });

  test("a model that fills masks without one", async () => {
    await expect(filling.generate(request())).rejects.toMatchObject({ code: "mask/needed" });
    await expect(filling.generate({ ...request(), image: undefined })).rejects.toMatchObject({ code: "mask/needed" });
  });
});

test("what is done with a picture or a mask beside the request is said", async () => {
  const codes = async (more: Partial<GenerateInput>): Promise<string[]> =>
    (await plain.generate(request({ numInferenceSteps: 2, ...more }))).notices.map(({ code }) => code);
  expect(await codes({})).toEqual([]);
  expect(await codes({ strength: 1 })).toEqual(["strength/all"]);
  expect(await codes({ strength: 1, maskImage: mask })).toEqual([]);
  expect(await codes({ maskImage: await greyPng("white", 64, 64, () => 255) })).toEqual(["mask/full"]);
  expect(await codes({ maskImage: await greyPng("small", 32, 32, (x) => (x < 16 ? 255 : 0)) })).toEqual(["mask/resized"]);
  expect(await codes({ width: 96, height: 64 })).toEqual(["image/cropped"]);
  expect(await codes({ image: fixture("wide.png"), width: 64 })).toEqual([]);
});
