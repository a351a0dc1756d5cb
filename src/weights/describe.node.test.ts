import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { goldenPath, hasGolden } from "../testing/golden.ts";
import { type Made, safetensorsOf, single } from "../testing/number-formats.ts";
import { singleFileBytes, singleFileHeader } from "../testing/single-file.ts";
import { describe } from "./describe.node.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "describe-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("a model's folder", async () => {
  const model = await describe(goldenPath("tiny-sdxl"));
  expect(model).toMatchObject({ kind: "sdxl", format: "folder", missing: [] });
  expect(model.components.map(({ name }) => name)).toEqual(["unet", "vae", "text_encoder", "text_encoder_2"]);
  const [unet, vae] = model.components;
  expect(unet!.bytes).toBe(unet!.parameters * 2);
  expect(unet!.dtypes).toEqual({ F16: unet!.parameters });
  expect(vae!.dtypes).toEqual({ F32: vae!.parameters });
});

test("what the UNet predicts is told, and where it was read", async () => {
  expect((await describe(goldenPath("tiny-sdxl"))).prediction).toEqual({
    name: "epsilon",
    zeroTerminalSnr: false,
    from: "scheduler/scheduler_config.json",
  });
  const bytes = await singleFileBytes();
  const tensors = new Map<string, Made>(
    [...bytes].map(([name, data]) => [name, { dtype: "F16", shape: singleFileHeader[name]![1], data }]),
  );
  const path = join(folder, "cosxl.safetensors");
  await writeFile(path, safetensorsOf(tensors.set("edm_vpred.sigma_max", single([120]))));
  const cosxl = await describe(path);
  expect(cosxl).toMatchObject({ prediction: { name: "edm-v", from: "the tensor edm_vpred.sigma_max" }, remarks: [] });
});

test("a folder that lacks something is described as unusable, with what is missing", async () => {
  for (const name of ["model_index.json", "unet", "text_encoder", "text_encoder_2", "scheduler"])
    await symlink(goldenPath("tiny-sdxl", name), join(folder, name));
  const model = await describe(folder);
  expect(model.missing).toEqual(["vae", "vae/config.json", "tokenizer", "tokenizer_2"]);
  expect(model.title).toBe("a diffusers folder that cannot be used");
  expect(model.remarks.join()).toContain("has no vae");
});

test.runIf(hasGolden("tiny-sdxl.safetensors"))("a single file has as many parameters as the folder", async () => {
  const [single, whole] = [await describe(goldenPath("tiny-sdxl.safetensors")), await describe(goldenPath("tiny-sdxl"))];
  expect(single).toMatchObject({ kind: "sdxl", format: "safetensors", missing: [], remarks: [] });
  const [unet, vae] = whole.components;
  expect(single.components[0]!.parameters).toBe(unet!.parameters);
  expect(single.components[1]!.parameters).toBe(vae!.parameters);
});

test.each([
  ["tiny-photomaker-v1.bin", "photomaker-v1", "torch-zip"],
  ["tiny-photomaker-v1.safetensors", "photomaker-v1", "safetensors"],
  ["tiny-photomaker-v2.bin", "photomaker-v2", "torch-zip"],
  ["tiny-sdxl/vae/diffusion_pytorch_model.safetensors", "vae", "safetensors"],
  ["tiny-sdxl/text_encoder/model.safetensors", "clip-text", "safetensors"],
  ["tiny-sdxl/text_encoder_2/model.safetensors", "clip-text-projection", "safetensors"],
  ["tiny-autoencoder/diffusion_pytorch_model.safetensors", "tiny-vae", "safetensors"],
  ["tiny-autoencoder/taesd_decoder.pth", "tiny-vae", "torch-zip"],
  ["formats/legacy.pt", "unknown", "torch-legacy"],
])("%s is %s in %s", async (file, kind, format) => {
  expect(await describe(goldenPath(file))).toMatchObject({ kind, format, missing: [] });
});

test("a component's folder", async () => {
  expect(await describe(goldenPath("tiny-sdxl/unet"))).toMatchObject({ kind: "unet-sdxl", missing: [] });
});

test.each([
  ["kohya_sgm", "kohya, names of the original UNet", ["unet", "text_encoder", "text_encoder_2"]],
  ["kohya_diffusers_names", "kohya, names of diffusers", ["unet"]],
  ["peft", "PEFT", ["unet", "text_encoder", "text_encoder_2"]],
  ["diffusers_old", "old diffusers", ["unet"]],
  ["diffusers_dotted", "diffusers", ["unet"]],
])("the LoRA %s: %s", async (file, spelling, components) => {
  const found = await describe(goldenPath(`lora/${file}.safetensors`));
  expect(found.lora).toMatchObject({ spelling, ranks: [2] });
  expect(found.components.map(({ name }) => name).sort()).toEqual([...components].sort());
});

test("a folder of files names each; an empty one is refused", async () => {
  await expect(describe(folder)).rejects.toMatchObject({ code: "inspect/nothing" });
  await symlink(goldenPath("tiny-photomaker-v2.bin"), join(folder, "photomaker-v2.bin"));
  await writeFile(join(folder, "bad.safetensors"), "");
  const { remarks } = await describe(folder);
  expect(remarks[0]).toContain("bad.safetensors cannot be read");
  expect(remarks[1]).toBe("photomaker-v2.bin is a PhotoMaker V2 adapter.");
});
