import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { goldenPath } from "../testing/golden.ts";
import { allMade, type Made, safetensorsOf, single } from "../testing/number-formats.ts";
import { singleFileBytes, singleFileHeader } from "../testing/single-file.ts";
import { openTensors } from "../weights/open-tensors.node.ts";
import { PhotoMaker } from "./photomaker.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "unused-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function unusedIn(model: string, more: object = {}): Promise<string[]> {
  const pm = await PhotoMaker.load({ model, ...more });
  await pm.close();
  return pm.notices.filter(({ code }) => code === "model/unknown-names").map(({ message }) => message);
}

const COMPONENTS = {
  unet: ["unet/diffusion_pytorch_model", "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k_ip.weight"],
  vae: ["vae/diffusion_pytorch_model", "encoder.mid_block.attentions.0.to_q.bias_of_another_kind"],
  text_encoder: ["text_encoder/model", "text_model.encoder.layers.0.self_attn.q_proj.lora_magnitude"],
  text_encoder_2: ["text_encoder_2/model", "prompt_learner.ctx"],
} as const;

test.each(Object.entries(COMPONENTS))(
  "a tensor that nothing in the %s of a folder uses is named, and harmless ones are not",
  async (name, [file, extra]) => {
    const model = join(folder, name);
    await cp(goldenPath("tiny-sdxl"), model, { recursive: true, dereference: true });
    const path = join(model, `${file}.safetensors`);
    const tensors = await allMade((await openTensors(path)).tensors);
    for (const harmless of ["text_model.embeddings.position_ids", "logit_scale", "num_updates", "decay"])
      tensors.set(harmless, single([0], [1]));
    await writeFile(path, safetensorsOf(tensors));
    expect(await unusedIn(model)).toEqual([]);
    tensors.set(extra, single([1]));
    await writeFile(path, safetensorsOf(tensors));
    expect(await unusedIn(model)).toEqual([`${name}: 1 tensor is not used: ${extra}.`]);
  },
);

test("tensors inside the parts of a single file that nothing uses are named", async () => {
  const bytes = await singleFileBytes();
  const tensors = new Map<string, Made>(
    [...bytes].map(([name, data]) => [name, { dtype: "F16", shape: singleFileHeader[name]![1], data }]),
  );
  for (const harmless of [
    "denoiser.sigmas",
    "conditioner.embedders.0.transformer.text_projection.weight",
    "conditioner.embedders.1.model.attn_mask",
  ])
    tensors.set(harmless, single([0], [1]));
  tensors.set("model.diffusion_model.middle_block.1.proj_in.another_scale", single([1]));
  tensors.set("first_stage_model.decoder.conv_in.another_scale", single([1]));
  const model = join(folder, "single.safetensors");
  await writeFile(model, safetensorsOf(tensors));
  expect(await unusedIn(model, { modelConfig: goldenPath("tiny-sdxl") })).toEqual([
    "unet: 1 tensor is not used: mid_block.attentions.0.proj_in.another_scale.",
    "vae: 1 tensor is not used: decoder.conv_in.another_scale.",
  ]);
});

test("tensors of an adapter that nothing uses are named, inside its ID encoder and beside it", async () => {
  for (const file of ["tiny-photomaker-v1.bin", "tiny-photomaker-v2.bin"])
    expect(await unusedIn(goldenPath("tiny-sdxl"), { adapter: goldenPath(file) })).toEqual([]);
  const tensors = await allMade((await openTensors(goldenPath("tiny-photomaker-v1.safetensors"))).tensors);
  tensors.set("id_encoder.vision_model.embeddings.position_ids", single([0], [1]));
  tensors.set("id_encoder.vision_model.adapter.scale", single([1]));
  tensors.set("extra.weight", single([1]));
  const adapter = join(folder, "adapter.safetensors");
  await writeFile(adapter, safetensorsOf(tensors));
  await cp(goldenPath("photomaker-config.json"), join(folder, "photomaker-config.json"));
  expect(await unusedIn(goldenPath("tiny-sdxl"), { adapter })).toEqual([
    "the adapter's ID encoder: 2 tensors are not used: extra.weight, vision_model.adapter.scale.",
  ]);
});
