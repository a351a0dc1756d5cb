import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { GenerateInput, LoadInput } from "../../contract/request.ts";
import { readPngSettings } from "../../image/index.ts";
import type { LazySession } from "../../sessions/lazy-session.ts";
import { goldenPath } from "../../testing/golden.ts";
import { silent } from "../../testing/tiny-model.ts";
import { writeSafetensors } from "../../weights/safetensors-write.node.ts";
import { PhotoMaker } from "../photomaker.ts";
import { previewOf } from "./preview.ts";

const SDXL: LoadInput = { model: goldenPath("tiny-sdxl") };
const TINY: LoadInput = { ...SDXL, tinyVae: goldenPath("tiny-autoencoder") };
const base: GenerateInput = { prompt: "a house", width: 64, height: 48, numInferenceSteps: 3, seed: 1, scheduler: "euler" };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "preview-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Pictures of the previews and of the result: width, height, pixels. */
async function drawn(load: LoadInput, input: GenerateInput) {
  await using maker = await PhotoMaker.load(load);
  const previews: Buffer[] = [];
  let png: Uint8Array = new Uint8Array();
  for await (const event of maker.generate(input)) {
    if (event.type === "preview") previews.push(await pixels(event.images[0]!));
    if (event.type === "image") png = event.png;
  }
  return { previews, png, result: await pixels(png) };
}
const pixels = (png: Uint8Array): Promise<Buffer> => sharp(png).raw().toBuffer();

test("with a tiny VAE, previews are decoded by it, and results by the VAE unless the request asks for the tiny one", async () => {
  const [plain, tiny, both] = [
    await drawn(SDXL, { ...base, preview: true }),
    await drawn(TINY, { ...base, decoder: "tiny-vae", preview: true }),
    await drawn(TINY, { ...base, preview: true }),
  ];
  expect(plain.previews[2]).toHaveLength(3 * 8 * 6); // one pixel for each latent
  expect(tiny.previews).toHaveLength(3);
  expect(tiny.previews[0]!.equals(tiny.previews[2]!)).toBe(false);
  expect(tiny.previews[2]!.equals(tiny.result)).toBe(true); // Euler's last step has no noise left
  expect(both.previews[2]!.equals(tiny.result)).toBe(true);
  expect(both.result.equals(plain.result)).toBe(true);
  expect(both.result.equals(tiny.result)).toBe(false);
  expect(readPngSettings(tiny.png).parameters).toContain("VAE Decoder: TAESD");
  expect(readPngSettings(both.png).parameters).not.toContain("TAESD");
});

test("previews of a small VAE that is not SDXL's are decoded by it, not approximated in SDXL's colours", async () => {
  const model = join(folder, "model");
  await cp(goldenPath("tiny-sdxl"), model, { recursive: true });
  const config = join(model, "vae", "config.json");
  await writeFile(config, (await readFile(config, "utf8")).replace(/"scaling_factor": [\d.]+/, '"scaling_factor": 0.5'));
  const { previews, result } = await drawn({ model }, { ...base, preview: true });
  expect(previews[2]!.equals(result)).toBe(true);
});

const decoder = (latentChannels: number, scalingFactor: number, parameters: number) => ({
  graph: {
    decode: {} as never,
    config: { imageChannels: 3, latentChannels, scalingFactor, shiftFactor: 0 },
    factor: 8,
    parameters,
    channels: 128,
    unused: [],
  },
  session: { get: () => Promise.reject(new Error("not to be loaded")) } as unknown as LazySession<"picture">,
  largestWhole: 1e6,
});

test("previews of a large VAE that is not SDXL's are refused before anything is loaded", async () => {
  const latents = { channels: 4, height: 2, width: 3, data: new Float32Array(24) };
  const sdxl = previewOf({ vae: decoder(4, 0.13025, 5e7), tinyVae: undefined }, silent);
  expect(await sdxl(latents)).toMatchObject({ width: 3, height: 2 });
  for (const vae of [decoder(8, 0.13025, 5e6), decoder(4, 0.18215, 5e6)])
    expect(() => previewOf({ vae, tinyVae: undefined }, silent)).toThrow(
      expect.objectContaining({ code: "preview/no-decoder", remedy: expect.stringContaining("--tiny-vae") }),
    );
});

test("a missing tiny VAE, and one for other latents, are refused", async () => {
  await using maker = await PhotoMaker.load(SDXL);
  await expect(maker.generate({ ...base, decoder: "tiny-vae" })).rejects.toMatchObject({
    code: "decoder/no-tiny-vae",
    remedy: expect.stringContaining("--tiny-vae"),
  });
  const tinyVae = join(folder, "taesd3_decoder.safetensors");
  const convolutions = { 1: [10, 16], "3.conv.0": [10, 10], "3.conv.2": [10, 10], "3.conv.4": [10, 10], 4: [3, 10] };
  await writeSafetensors(
    tinyVae,
    Object.entries(convolutions).flatMap(([name, [out, width]]) => [
      { name: `${name}.weight`, dtype: "F32", shape: [out!, width!, 3, 3], data: new Float32Array(out! * width! * 9) },
      { name: `${name}.bias`, dtype: "F32", shape: [out!], data: new Float32Array(out!) },
    ]),
  );
  await expect(PhotoMaker.load({ ...SDXL, tinyVae })).rejects.toMatchObject({
    code: "tiny-vae/other-latents",
    message: expect.stringMatching(/16 channels for 1x1 pixels.*4 channels for 8x8 pixels/),
  });
});
