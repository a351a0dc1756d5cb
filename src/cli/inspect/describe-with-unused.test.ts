import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { goldenPath } from "../../testing/golden.ts";
import { allMade, safetensorsOf, single } from "../../testing/number-formats.ts";
import { openTensors } from "../../weights/open-tensors.node.ts";
import { describeWithUnused } from "./describe-with-unused.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "inspect-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** A copy of a golden file with more tensors. */
async function withMore(source: string, target: string, names: readonly string[], prefix = ""): Promise<string> {
  const tensors = await allMade((await openTensors(goldenPath(source))).tensors);
  for (const name of names) tensors.set(name, single([1]));
  const path = join(folder, target);
  await writeFile(path, safetensorsOf(new Map([...tensors].map(([name, tensor]) => [prefix + name, tensor]))));
  return path;
}

const CASES: readonly [name: string, file: string, extra: string][] = [
  ["unet", "diffusion_pytorch_model", "mid_block.attentions.0.proj_in.another_scale"],
  ["vae", "diffusion_pytorch_model", "decoder.conv_in.another_scale"],
  ["text_encoder", "model", "text_model.encoder.layers.0.self_attn.q_proj.lora_magnitude"],
  ["text_encoder_2", "model", "text_model.another"],
];

test.each(CASES)("inspect names what nothing uses in a %s alone, and in a model's folder", async (name, file, extra) => {
  const source = `tiny-sdxl/${name}/${file}.safetensors`;
  await symlink(goldenPath("tiny-sdxl", name, "config.json"), join(folder, "config.json"));
  const harmless = ["text_model.embeddings.position_ids", "logit_scale", "num_updates"].slice(name.startsWith("text") ? 0 : 2);
  expect((await describeWithUnused(await withMore(source, "plain.safetensors", harmless))).remarks).toEqual([]);
  const path = await withMore(source, `${file}.safetensors`, [extra]);
  const remark = `${name}: 1 tensor is not used: ${extra}.`;
  expect((await describeWithUnused(path)).remarks).toEqual([remark]);

  const model = join(folder, "model");
  await mkdir(join(model, name), { recursive: true });
  for (const each of [
    "model_index.json",
    "scheduler",
    "tokenizer",
    "tokenizer_2",
    "unet",
    "vae",
    "text_encoder",
    "text_encoder_2",
  ])
    if (each !== name) await symlink(goldenPath("tiny-sdxl", each), join(model, each));
  await symlink(path, join(model, name, `${file}.safetensors`));
  await symlink(join(folder, "config.json"), join(model, name, "config.json"));
  expect((await describeWithUnused(model)).remarks).toEqual([remark]);
});

test("inspect names what nothing uses in an adapter's ID encoder", async () => {
  const path = await withMore("tiny-photomaker-v1.safetensors", "photomaker.safetensors", [
    "id_encoder.vision_model.adapter.scale",
  ]);
  await symlink(goldenPath("photomaker-config.json"), join(folder, "photomaker-config.json"));
  expect((await describeWithUnused(path)).remarks).toEqual(["id_encoder: 1 tensor is not used: vision_model.adapter.scale."]);
});
