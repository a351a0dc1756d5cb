import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import type { GenerateInput, LoadInput } from "../contract/request.ts";
import { goldenPath } from "../testing/golden.ts";
import { goldenJson } from "../testing/tensors.ts";
import { MAN_WITH_HAT, TINY_V1 } from "../testing/tiny-model.ts";
import { PhotoMaker } from "./photomaker.ts";

const folder = await mkdtemp(join(tmpdir(), "set-loras-"));
vi.stubEnv("PHOTOMAKER_CACHE", folder);
afterAll(() => rm(folder, { recursive: true }));

const request: GenerateInput = { ...MAN_WITH_HAT, numInferenceSteps: 2, startMergeStep: 0 };
const everywhere = goldenPath(goldenJson("lora", "index.json").cases[0].file);
const drawn = async (pm: PhotoMaker) => {
  const { latents, timings, images } = await pm.generate(request);
  return { final: latents.final, loaded: Object.keys(timings.load), settings: images[0]!.settings };
};
const fresh = async (more: Partial<LoadInput>) => {
  await using pm = await PhotoMaker.load({ ...TINY_V1, ...more });
  return await drawn(pm); // before it is closed
};

test.each(["f32", "int8"] as const)(
  "%s: changed LoRAs give the picture of a fresh load with them, and other models stay loaded",
  async (precision) => {
    const loras = [{ path: everywhere, scale: 0.7 }];
    await using pm = await PhotoMaker.load({ ...TINY_V1, precision });
    const plain = await drawn(pm);

    const costs = [
      { code: "precision/prepares-anew", message: expect.stringMatching(/text_encoder .*, text_encoder_2 .*, unet /) },
    ];
    expect(await pm.setLoras(loras)).toEqual(precision === "int8" ? costs : []);
    const changed = await drawn(pm);
    const expected = await fresh({ precision, loras });
    expect(changed.final).toEqual(expected.final);
    expect(changed.final).not.toEqual(plain.final);
    expect(changed.settings).toEqual(expected.settings);
    expect(changed.loaded).toEqual(["text_encoder", "text_encoder_2", "unet"]);

    await pm.setLoras(loras, { adapterScale: 0.5 }); // the adapter's LoRA is the UNet's alone
    const weaker = await drawn(pm);
    expect(weaker.final).toEqual((await fresh({ precision, loras, adapterScale: 0.5 })).final);
    expect(weaker.loaded).toEqual(precision === "int8" ? ["unet"] : []);

    const stronger = [{ path: everywhere, scale: 0.9 }];
    await pm.setLoras(stronger); // the adapter's strength stays
    const strong = await drawn(pm);
    expect(strong.final).toEqual((await fresh({ precision, loras: stronger, adapterScale: 0.5 })).final);
    expect(strong.loaded).toEqual(precision === "int8" ? ["text_encoder", "text_encoder_2", "unet"] : []);

    expect(await pm.setLoras(stronger)).toEqual([]);
    expect((await drawn(pm)).loaded).toEqual([]); // nothing is loaded again
    await pm.setLoras([], { adapterScale: 1 });
    expect((await drawn(pm)).final).toEqual(plain.final);
  },
);

test("refused LoRAs change nothing", async () => {
  await using pm = await PhotoMaker.load(TINY_V1);
  const plain = await drawn(pm);
  await expect(pm.setLoras([{ path: join(folder, "not-there.safetensors"), scale: 1 }])).rejects.toMatchObject({
    code: expect.any(String),
  });
  await expect(pm.setLoras([{ path: everywhere, scale: 1000 }])).rejects.toMatchObject({ name: "UserError" });
  const after = await drawn(pm);
  expect(after.final).toEqual(plain.final);
  expect(after.loaded).toEqual([]);
});
