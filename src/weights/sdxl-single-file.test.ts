import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { goldenPath, hasGolden } from "../testing/golden.ts";
import { singleFileBytes, singleFileHeader, singleFileTensors } from "../testing/single-file.ts";
import { openModel } from "./open-model.node.ts";
import { readFloats } from "./read-tensor.ts";
import { COMPONENTS, splitSingleFile } from "./sdxl-single-file.ts";
import type { TensorEntry } from "./tensor-entry.ts";
import { layoutFromDiffusers, layoutFromOriginal, unetPaths } from "./unet-names.ts";

const folder = await openModel(goldenPath("tiny-sdxl"));
const split = splitSingleFile(singleFileTensors);

test("the single file's names and shapes become those of the folder", () => {
  for (const name of COMPONENTS) {
    const shapes = (tensors: ReadonlyMap<string, TensorEntry>) =>
      Object.fromEntries([...tensors].map(([key, { shape }]) => [key, shape]).sort());
    expect(shapes(split.components[name])).toEqual(shapes(folder.components[name].tensors));
  }
  expect(split.unknown).toEqual([]);
});

test("every byte of the single file is found again in the folder's tensors", async () => {
  const rebuilt = await singleFileBytes();
  for (const [name, bytes] of rebuilt)
    expect(createHash("sha256").update(bytes).digest("hex"), name).toBe(singleFileHeader[name]![2]);
  const left = Object.keys(singleFileHeader).filter((name) => !rebuilt.has(name));
  expect(left.sort()).toEqual([
    "conditioner.embedders.0.transformer.text_model.embeddings.position_ids",
    "conditioner.embedders.1.model.logit_scale",
    "denoiser.sigmas",
  ]);
});

test.runIf(hasGolden("tiny-sdxl.safetensors"))("the real single file reads as the folder does", async () => {
  const single = await openModel(goldenPath("tiny-sdxl.safetensors"));
  expect(single.notices.map(({ code }) => code)).toEqual(["model/config-found"]);
  for (const component of COMPONENTS) {
    expect(single.components[component].config).toEqual(folder.components[component].config);
    for (const [name, own] of folder.components[component].tensors) {
      const entry = single.components[component].tensors.get(name)!;
      expect(entry.shape, name).toEqual(own.shape);
      expect(
        Buffer.compare(Buffer.from((await readFloats(entry)).buffer), Buffer.from((await readFloats(own)).buffer)),
        name,
      ).toBe(0);
    }
  }
});

test("both ways of naming a UNet show the same layout", () => {
  const unet = [...folder.components.unet.tensors.keys()];
  const before = [...singleFileTensors.keys()].flatMap((name) => name.split("model.diffusion_model.")[1] ?? []);
  expect(layoutFromOriginal(before)).toEqual(layoutFromDiffusers(unet));
  const paths = new Map(unetPaths(layoutFromDiffusers(unet)));
  expect(paths.get("input_blocks.4.1")).toBe("down_blocks.1.attentions.0");
  expect(paths.get("output_blocks.2.2.conv")).toBe("up_blocks.0.upsamplers.0.conv");
});

test("levels with and without attention, resampled or not, are recognised in either naming", () => {
  const level = (resnets: number, attention: boolean, resampled: boolean) => ({ resnets, attention, resampled });
  const layout = {
    down: [level(1, true, true), level(3, false, true), level(2, true, false)],
    up: [level(3, true, true), level(4, false, true), level(2, true, false)],
  };
  const paths = unetPaths(layout).map(([from, to]) =>
    [from, to].map((path) => `${path}${/\.1$|attentions\.\d$/.test(path) ? ".proj_in" : ""}.weight`),
  );
  expect(new Set(paths.map(([from]) => from)).size).toBe(paths.length);
  expect(layoutFromOriginal(paths.map(([from]) => from!))).toEqual(layout);
  expect(layoutFromDiffusers(paths.map(([, to]) => to!))).toEqual(layout);
  expect(paths).toContainEqual(["output_blocks.6.1.conv.weight", "up_blocks.1.upsamplers.0.conv.weight"]);
});

test("unknown names are reported, training leftovers are not", () => {
  const entry = singleFileTensors.get("denoiser.sigmas")!;
  const extra = (name: string) => splitSingleFile(new Map([...singleFileTensors, [name, { ...entry, name }]])).unknown;
  for (const name of [
    "model.diffusion_model.input_blocks.4.3.x.weight",
    "first_stage_model.x",
    "conditioner.embedders.1.model.x",
    "x",
  ])
    expect(extra(name)).toEqual([name]);
  for (const name of ["model_ema.decay", "alphas_cumprod", "v_pred"]) expect(extra(name)).toEqual([]);
});
