import { copyFile, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { goldenPath } from "../testing/golden.ts";
import { openAdapter } from "./open-adapter.node.ts";
import { openTensors } from "./open-tensors.node.ts";
import { copyTensor, writeSafetensors } from "./safetensors-write.node.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "adapter-"));
});
afterEach(() => rm(folder, { recursive: true }));

test.each([
  ["tiny-photomaker-v1.bin", "v1", "v1_id_encoder"],
  ["tiny-photomaker-v1.safetensors", "v1", "v1_id_encoder"],
  ["tiny-photomaker-v2.bin", "v2", "v2_id_encoder"],
] as const)("%s is %s, with the names and shapes of the reference", async (file, version, key) => {
  const { keys } = await import(goldenPath("photomaker-config.json"), { with: { type: "json" } }).then(
    (module) => module.default,
  );
  const adapter = await openAdapter(goldenPath(file));
  expect(adapter.version).toBe(version);
  const shapes = Object.fromEntries([...adapter.idEncoder].map(([name, { shape }]) => [name, shape]));
  expect(shapes).toEqual(keys[key]);
  expect(adapter.lora.size).toBe(448);
  expect([...adapter.lora.keys()].every((name) => name.startsWith("unet."))).toBe(true);
});

test("a folder with an adapter", async () => {
  await expect(openAdapter(folder)).rejects.toMatchObject({ code: "adapter/not-found" });
  await symlink(goldenPath("tiny-photomaker-v1.bin"), join(folder, "photomaker-v1.bin"));
  expect((await openAdapter(folder)).path).toBe(join(folder, "photomaker-v1.bin"));
  await copyFile(goldenPath("tiny-photomaker-v1.safetensors"), join(folder, "photomaker-v1.safetensors"));
  expect((await openAdapter(folder)).path).toBe(join(folder, "photomaker-v1.safetensors"));
  await symlink(goldenPath("tiny-photomaker-v2.bin"), join(folder, "photomaker-v2.bin"));
  await expect(openAdapter(folder)).rejects.toMatchObject({ code: "adapter/ambiguous" });
});

test.each([
  ["lora/peft.safetensors", "a LoRA"],
  ["tiny-sdxl/unet/diffusion_pytorch_model.safetensors", "an SDXL UNet alone"],
  ["tiny-sdxl/vae/diffusion_pytorch_model.safetensors", "a VAE alone"],
  ["formats/dtypes.safetensors", "something else"],
])("%s is refused, and the error says that it is %s", async (file, words) => {
  await expect(openAdapter(goldenPath(file))).rejects.toMatchObject({
    code: "adapter/wrong-kind",
    message: expect.stringContaining(words),
  });
});

test.each(["id_encoder.visual_projection_2", "id_encoder.vision_model"])("an adapter without %s", async (part) => {
  const { tensors } = await openTensors(goldenPath("tiny-photomaker-v1.safetensors"));
  const path = join(folder, "x.safetensors");
  await writeSafetensors(path, [...tensors.values()].filter(({ name }) => !name.startsWith(`${part}.`)).map(copyTensor));
  await expect(openAdapter(path)).rejects.toMatchObject({
    code: "adapter/incomplete",
    message: expect.stringContaining(part.replace("id_encoder.", "")),
  });
});
