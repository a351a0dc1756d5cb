import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { goldenPath } from "../../testing/golden.ts";
import { type GgufTensor, makeGguf } from "../../testing/made-gguf.ts";
import { singleFileBytes, singleFileHeader } from "../../testing/single-file.ts";
import { copyTensor, openModel, openTensors, writeSafetensors } from "../../weights/index.ts";
import { adapterConfig } from "./config.ts";
import { readStart } from "./start.ts";
import { trainAdapter } from "./train-adapter.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "refusals-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("a bad config is refused with the field's name", () => {
  expect(() => adapterConfig({ nullText: 2 })).toThrow(
    expect.objectContaining({ code: "train/config", message: expect.stringContaining("nullText") }),
  );
});

test("a model that predicts clean images is refused", async () => {
  const model = join(folder, "sample");
  await cp(goldenPath("tiny-sdxl"), model, { recursive: true });
  const path = join(model, "scheduler", "scheduler_config.json");
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), prediction_type: "sample" }));
  const options = { model, data: join(folder, "none"), out: join(folder, "out"), config: adapterConfig(undefined) };
  await expect(trainAdapter(options)).rejects.toMatchObject({ code: "train/prediction" });
});

test("an adapter whose LoRA has its own scale is refused as a start", async () => {
  const { tensors } = await openTensors(goldenPath("tiny-photomaker-v1.safetensors"));
  const down = [...tensors.keys()].find((name) => name.endsWith("attn1.processor.to_k_lora.down.weight"))!;
  const alpha = { name: down.replace("processor.to_k_lora.down.weight", "to_k.alpha"), dtype: "F32", shape: [] } as const;
  const path = join(folder, "photomaker-v1.safetensors");
  await writeSafetensors(path, [...[...tensors.values()].map(copyTensor), { ...alpha, data: Float32Array.of(0.5) }]);
  await cp(goldenPath("photomaker-config.json"), join(folder, "photomaker-config.json"));
  const model = await openModel(goldenPath("tiny-sdxl"));
  await expect(readStart(path, model, adapterConfig(undefined))).rejects.toMatchObject({ code: "train/lora-scale" });
});

test("a model and a start in GGUF's blocks are refused by the name of their format", async () => {
  const block = { type: 8, shape: [1, 32], data: new Uint8Array(34) };
  const start = join(folder, "vision.gguf");
  await writeFile(start, makeGguf([{ ...block, name: "vision_model.embeddings.class_embedding" }]));
  const model = await openModel(goldenPath("tiny-sdxl"));
  const refusal = { code: "weights/number-format", message: expect.stringContaining("blocks (Q8_0,") };
  await expect(readStart(start, model, adapterConfig(undefined))).rejects.toMatchObject(refusal);

  const bytes = await singleFileBytes();
  const name = "model.diffusion_model.middle_block.1.transformer_blocks.0.ff.net.2.weight";
  const tensors = [...bytes].map(([own, data]): GgufTensor => {
    const shape = singleFileHeader[own]![1];
    if (own !== name) return { name: own, type: 1, shape, data };
    return { name: own, type: 8, shape, data: new Uint8Array((data.length / 64) * 34) };
  });
  const path = join(folder, "model.gguf");
  await writeFile(path, makeGguf(tensors));
  const options = { model: path, modelConfig: goldenPath("tiny-sdxl"), data: join(folder, "none"), out: join(folder, "out") };
  await expect(trainAdapter({ ...options, config: adapterConfig(undefined) })).rejects.toMatchObject(refusal);
});
