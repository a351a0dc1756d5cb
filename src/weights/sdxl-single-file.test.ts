import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { floatsToHalves } from "../core/floats.ts";
import { goldenPath, hasGolden } from "../testing/golden.ts";
import { openModel } from "./model.ts";
import { readBytes, readFloats, readRowMajor } from "./read-tensor.ts";
import { COMPONENTS, splitSingleFile } from "./sdxl-single-file.ts";
import { DTYPE_BYTES, type DType, elementCount, type TensorEntry } from "./tensor-entry.ts";
import { layoutFromDiffusers, layoutFromOriginal, unetPaths } from "./unet-names.ts";

const header: { tensors: Record<string, [DType, number[], string]> } = JSON.parse(
  await readFile(goldenPath("tiny-sdxl.header.json"), "utf8"),
);
const original = new Map<string, TensorEntry>();
for (const [name, [dtype, shape]] of Object.entries(header.tensors)) {
  const length = elementCount(shape) * DTYPE_BYTES[dtype];
  // one file each, so that a range tells whose bytes it means
  original.set(name, { name, dtype, shape, source: { kind: "file", file: name, offset: 1000, length } });
}
const folder = await openModel(goldenPath("tiny-sdxl"));
const split = splitSingleFile(original);

test("the single file's names and shapes become those of the folder", () => {
  for (const name of COMPONENTS) {
    const shapes = (tensors: ReadonlyMap<string, TensorEntry>) =>
      Object.fromEntries([...tensors].map(([key, { shape }]) => [key, shape]).sort());
    expect(shapes(split.components[name])).toEqual(shapes(folder.components[name].tensors));
  }
  expect(split.unknown).toEqual([]);
});

test("every byte of the single file is found again in the folder's tensors", async () => {
  const rebuilt = new Map<string, Uint8Array>();
  for (const component of COMPONENTS)
    for (const [name, { source, dtype, transposed, shape }] of split.components[component]) {
      if (source.kind !== "file") throw new Error(`${name} is not in place`);
      const own = folder.components[component].tensors.get(name)!;
      const halves = own.dtype === "F16" ? await readBytes(own) : new Uint8Array(floatsToHalves(await readFloats(own)).buffer);
      expect(dtype).toBe("F16");
      const bytes = transposed
        ? await readRowMajor({ name, dtype, shape: shape.toReversed(), transposed, source: { kind: "bytes", bytes: halves } })
        : halves;
      expect(bytes.length, name).toBe(source.length);
      const whole = rebuilt.get(source.file) ?? new Uint8Array(elementCount(header.tensors[source.file]![1]) * 2);
      whole.set(bytes, source.offset - 1000);
      rebuilt.set(source.file, whole);
    }
  for (const [name, bytes] of rebuilt)
    expect(createHash("sha256").update(bytes).digest("hex"), name).toBe(header.tensors[name]![2]);
  const left = Object.keys(header.tensors).filter((name) => !rebuilt.has(name));
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

test("both ways of naming a UNet tell the same layout", () => {
  const unet = [...folder.components.unet.tensors.keys()];
  const before = [...original.keys()].flatMap((name) => name.split("model.diffusion_model.")[1] ?? []);
  expect(layoutFromOriginal(before)).toEqual(layoutFromDiffusers(unet));
  const paths = new Map(unetPaths(layoutFromDiffusers(unet)));
  expect(paths.get("input_blocks.4.1")).toBe("down_blocks.1.attentions.0");
  expect(paths.get("output_blocks.2.2.conv")).toBe("up_blocks.0.upsamplers.0.conv");
});

test("levels with and without attention, resampled or not, are found again from either naming", () => {
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
  const entry = original.get("denoiser.sigmas")!;
  const extra = (name: string) => splitSingleFile(new Map([...original, [name, { ...entry, name }]])).unknown;
  for (const name of [
    "model.diffusion_model.input_blocks.4.3.x.weight",
    "first_stage_model.x",
    "conditioner.embedders.1.model.x",
    "x",
  ])
    expect(extra(name)).toEqual([name]);
  for (const name of ["model_ema.decay", "alphas_cumprod", "v_pred"]) expect(extra(name)).toEqual([]);
});
