import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requestFromSettings } from "../contract/request-from-settings.ts";
import { readPngSettings } from "../image/png-settings.ts";
import { goldenPath } from "../testing/golden.ts";
import { singleFileBytes, singleFileHeader } from "../testing/single-file.ts";
import { writeSafetensors } from "../weights/safetensors-write.node.ts";
import { PhotoMaker } from "./photomaker.ts";

const TINY = goldenPath("tiny-sdxl");
const UNET = "model.diffusion_model.";
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "parts-"));
  const all = [...(await singleFileBytes())].map(([name, data]) => {
    const [dtype, shape] = singleFileHeader[name]!;
    return { name, dtype, shape, data };
  });
  const unet = all.filter(({ name }) => name.startsWith(UNET));
  const names = unet.map((tensor) => ({ ...tensor, name: tensor.name.slice(UNET.length) }));
  await writeSafetensors(join(folder, "whole.safetensors"), all);
  for (const name of ["unet.safetensors", "sdxl_lightning_4step_unet.safetensors"])
    await writeSafetensors(join(folder, name), names);
  const vae = all.filter(({ name }) => name.startsWith("first_stage_model."));
  // another VAE: the same with all signs changed
  await writeSafetensors(
    join(folder, "other-vae.safetensors"),
    vae.map((tensor) => ({ ...tensor, data: tensor.data.map((byte, i) => (i % 2 === 1 ? byte ^ 128 : byte)) })),
  );
  await writeSafetensors(
    join(folder, "vae.safetensors"),
    vae.map((tensor) => ({ ...tensor, name: tensor.name.replace("first_stage_model.", "") })),
  );
});
afterAll(() => rm(folder, { recursive: true }));

const REQUEST = {
  prompt: "a cat",
  seed: 1,
  width: 64,
  height: 64,
  numInferenceSteps: 2,
  guidanceScale: 5,
  scheduler: "euler",
} as const;

async function drawn(load: Parameters<typeof PhotoMaker.load>[0]) {
  await using pm = await PhotoMaker.load({ precision: "f32", modelConfig: TINY, ...load });
  const { images } = await pm.generate(REQUEST);
  const { png, settings } = images[0]!;
  return { settings, text: readPngSettings(png).parameters, pixels: await sharp(png).raw().toBuffer() };
}

test("a model put together of parts draws the picture of the whole, and its settings say which parts", async () => {
  const whole = await drawn({ model: join(folder, "whole.safetensors") });
  const parts = {
    vae: join(folder, "vae.safetensors"),
    textEncoder: join(folder, "whole.safetensors"),
    textEncoder2: join(folder, "whole.safetensors"),
  };
  const together = await drawn({ model: join(folder, "unet.safetensors"), ...parts });
  expect(Buffer.compare(together.pixels, whole.pixels)).toBe(0);

  const over = await drawn({ model: join(folder, "whole.safetensors"), vae: join(folder, "other-vae.safetensors") });
  expect(Buffer.compare(over.pixels, whole.pixels)).not.toBe(0);

  const names = { vae: "vae.safetensors", textEncoder: "whole.safetensors", textEncoder2: "whole.safetensors" };
  expect(together.settings).toMatchObject({ load: names });
  expect(whole.settings.load).not.toHaveProperty("vae");
  const { load, missing } = requestFromSettings(together.settings);
  expect(load).toMatchObject(names);
  expect(missing.map(({ key }) => key)).toEqual(expect.arrayContaining(["vae", "textEncoder", "textEncoder2"]));
  expect(together.text).toContain("VAE: vae.safetensors, Text encoder: whole.safetensors, Text encoder 2: whole");
});

test("a few-step model is recognised by the name of a UNet that is given apart", async () => {
  await using pm = await PhotoMaker.load({ model: TINY, unet: join(folder, "sdxl_lightning_4step_unet.safetensors") });
  expect(pm.notices.map(({ message }) => message).join()).toMatch(/SDXL-Lightning/);
});
