import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { GenerateInput } from "../../contract/request.ts";
import { input } from "../../graph/ops/source.ts";
import { Recorder } from "../../graph/recorder.ts";
import { Weights } from "../../graph/weights.ts";
import { readPngSettings } from "../../image/index.ts";
import { sharpDecode } from "../../models/sharp-decoder.ts";
import { goldenPath } from "../../testing/golden.ts";
import { randomArray } from "../../testing/random-array.ts";
import { writeSafetensors } from "../../weights/safetensors-write.node.ts";
import { PhotoMaker } from "../photomaker.ts";

const base: GenerateInput = { prompt: "a house", width: 64, height: 48, numInferenceSteps: 2, seed: 1 };
const SIZES = { channels: [8, 8, 8, 4], blocks: [1, 1, 1, 1], groups: 4 };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sharp-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** The tiny model with a sharp decoder whose last layer is zero: it only upsamples. */
async function model(name: string, sizes = SIZES): Promise<string> {
  const path = join(folder, name);
  await cp(goldenPath("tiny-sdxl"), path, { recursive: true });
  const recorder = new Recorder();
  const factor = 2 ** (sizes.channels.length - 1);
  sharpDecode(input("z", [1, 4, 2, 2]), input("picture", [1, 3, 2 * factor, 2 * factor]), new Weights(recorder), sizes);
  const decoder = join(path, "sharp_decoder");
  await mkdir(decoder);
  await writeSafetensors(
    join(decoder, "diffusion_pytorch_model.safetensors"),
    [...recorder.params].map(([name, { shape }]) => ({
      name,
      dtype: "F32" as const,
      shape,
      data: name.startsWith("conv_out") ? new Float32Array(shape.reduce((a, b) => a * b, 1)) : randomArray(7, ...shape).data,
    })),
  );
  const config = { _class_name: "SharpDecoder", block_out_channels: sizes.channels, layers_per_block: sizes.blocks };
  await writeFile(join(decoder, "config.json"), JSON.stringify({ ...config, norm_num_groups: sizes.groups }));
  return path;
}

test("a model with a sharp decoder draws twice the size by it, and the VAE's picture on request", async () => {
  await using maker = await PhotoMaker.load({ model: await model("sharp") });
  const [byDefault, vae] = [await maker.generate(base), await maker.generate({ ...base, decoder: "vae" })];
  await using plain = await PhotoMaker.load({ model: goldenPath("tiny-sdxl") });
  const today = await plain.generate(base);
  const pixels = (png: Uint8Array) => sharp(png).raw().toBuffer();
  expect((await pixels(vae.images[0]!.png)).equals(await pixels(today.images[0]!.png))).toBe(true);
  const [large] = byDefault.images;
  expect(large).toMatchObject({ width: 128, height: 96, settings: { decoder: "sharp", width: 64, height: 48 } });
  expect(readPngSettings(large!.png).parameters).toContain("Size: 64x48");
  expect(readPngSettings(large!.png).parameters).toContain("VAE Decoder: sharp");
  const halved = await sharp(large!.png).resize(64, 48, { kernel: "linear" }).raw().toBuffer();
  const small = await pixels(vae.images[0]!.png);
  const mean = small.reduce((sum, v, i) => sum + Math.abs(v - halved[i]!), 0) / small.length;
  expect(mean).toBeLessThan(8); // upsampled only
});

test("a model without a sharp decoder refuses it, and one of another VAE is refused", async () => {
  await using maker = await PhotoMaker.load({ model: goldenPath("tiny-sdxl") });
  await expect(maker.generate({ ...base, decoder: "sharp" })).rejects.toMatchObject({ code: "decoder/no-sharp-decoder" });
  await using sharpened = await PhotoMaker.load({ model: await model("from") });
  const image = goldenPath("photos", "person_0.png");
  await expect(sharpened.generate({ ...base, image, decoder: "sharp" })).rejects.toMatchObject({
    code: "decoder/no-sharp-decoder",
  });
  expect((await sharpened.generate({ ...base, image })).images[0]).toMatchObject({ width: 64, height: 48 });
  const other = await model("other", { channels: [8, 8, 4], blocks: [1, 1, 1], groups: 4 });
  await expect(PhotoMaker.load({ model: other })).rejects.toMatchObject({ code: "sharp-decoder/other-size" });
});
