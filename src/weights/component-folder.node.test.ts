import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makePickle, makeTorchZip, pickledTensor } from "../testing/made-files.ts";
import { readComponentFolder } from "./component-folder.node.ts";
import { resolveHubOrPath } from "./hub/resolve-hub-or-path.ts";
import { openModel } from "./open-model.node.ts";
import { readFloats } from "./read-tensor.ts";
import { writeSafetensors } from "./safetensors-write.node.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "component-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** A file with one tensor of one number. */
async function write(file: string, tensor: string, value: number): Promise<void> {
  const path = join(folder, file);
  const bytes = new Uint8Array(Float32Array.of(value).buffer);
  if (!file.endsWith(".bin")) return writeSafetensors(path, [{ name: tensor, dtype: "F32", shape: [1], data: bytes }]);
  const pickle = makePickle("\x80\x02}", { text: tensor }, ...pickledTensor("0", 1, [1], [1], 0, "FloatStorage"), "s.");
  await writeFile(path, makeTorchZip(pickle, { 0: bytes }));
}

const BASES = { safetensors: ["diffusion_pytorch_model", "model"], bin: ["diffusion_pytorch_model", "pytorch_model"] } as const;
const VARIANTS = ["", ".fp16", ".bf16", ".ema", ".non_ema", ".fp8_e4m3fn"];
const FORMS = (["safetensors", "bin"] as const).flatMap((end) =>
  BASES[end].flatMap((base) => VARIANTS.map((variant) => [base, variant, end] as const)),
);

test.each(FORMS)("%s%s.%s alone is opened", async (base, variant, end) => {
  const name = `${base}${variant}.${end}`;
  await write(name, "x", 3);
  const { tensors, files, notices } = (await readComponentFolder(folder))!;
  expect(files).toEqual([join(folder, name)]);
  expect([...(await readFloats(tensors.get("x")!))]).toEqual([3]);
  expect(notices.length).toBe(variant === "" ? 0 : 1);
});

test.each(
  FORMS.flatMap(([base, variant, end]) => [
    [`${base}.${end}.index${variant}.json`, `${base}${variant}`, end] as const, // diffusers from 0.30 on
    [`${base}${variant}.${end}.index.json`, `${base}`, `${variant.slice(1)}${variant && "."}${end}`] as const, // and before
  ]),
)("shards by the index %s are opened", async (index, before, end) => {
  const parts = [1, 2].map((i) => `${before}-0000${i}-of-00002.${end}`);
  for (const [i, part] of parts.entries()) await write(part, `x.${i}`, i);
  await writeFile(join(folder, index), JSON.stringify({ weight_map: { "x.0": parts[0], "x.1": parts[1] } }));
  const { tensors, files } = (await readComponentFolder(folder))!;
  expect(files).toEqual(parts.map((part) => join(folder, part)));
  expect([...(await readFloats(tensors.get("x.1")!))]).toEqual([1]);
});

test.each([
  [["model.fp16.safetensors", "model.safetensors"], "model.safetensors"],
  [["model.bf16.safetensors", "model.fp16.safetensors"], "model.fp16.safetensors"],
  [["model.bf16.safetensors", "model.ema.safetensors"], "model.bf16.safetensors"],
  [["pytorch_model.bin", "model.ema.safetensors"], "model.ema.safetensors"],
  [["pytorch_model.bin", "pytorch_model.fp16.bin", "openvino_model.bin"], "pytorch_model.bin"],
])("of %j, %s is taken, and the others are named", async (names, chosen) => {
  for (const name of names) await write(name, "x", 0);
  const { files, notices } = (await readComponentFolder(folder))!;
  expect(files).toEqual([join(folder, chosen)]);
  const others = names.filter((name) => name !== chosen && !name.startsWith("openvino"));
  for (const other of others) expect(notices[0]!.message).toMatch(new RegExp(`not .*${other}`));
});

test("shards without their index are refused", async () => {
  await write("model-00001-of-00002.safetensors", "x", 0);
  await expect(readComponentFolder(folder)).rejects.toMatchObject({
    code: "model/shard-index",
    message: expect.stringContaining("model-00001-of-00002.safetensors, and no index"),
  });
});

test.each([
  ["a model's folder", "model_index.json", (at: string) => openModel(at)],
  ["a file", "model.safetensors", (at: string) => openModel(join(at, "model.safetensors"))],
  ["a file that is named to the program", "model.safetensors", (at: string) => resolveHubOrPath(join(at, "model.safetensors"))],
  ["an index of shards", "model.safetensors.index.json", (at: string) => readComponentFolder(at)],
])("a link of the hub's cache without its file is named: %s", async (_, name, open) => {
  await mkdir(join(folder, "snapshot"));
  await symlink("../blobs/abc", join(folder, "snapshot", name));
  await expect(open(join(folder, "snapshot"))).rejects.toMatchObject({
    code: "model/broken-link",
    message: `${join(folder, "snapshot", name)} is a link to ${join(folder, "blobs/abc")}, which does not exist.`,
  });
});
