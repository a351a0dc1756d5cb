import { expect, test } from "vitest";
import { chooseFiles } from "./choose-files.ts";

const repo = { repo: "org/name" };
const configs = ["model_index.json", "scheduler/scheduler_config.json"];
const tokenizers = ["tokenizer", "tokenizer_2"].flatMap((folder) => [`${folder}/vocab.json`, `${folder}/merges.txt`]);
const parts = ["unet", "vae", "text_encoder", "text_encoder_2"].map((folder) => `${folder}/config.json`);
const plain = [
  "unet/diffusion_pytorch_model.safetensors",
  "vae/diffusion_pytorch_model.safetensors",
  "text_encoder/model.safetensors",
  "text_encoder_2/model.safetensors",
];
const marked = plain.map((path) => path.replace(".safetensors", ".fp16.safetensors"));
const model = [...configs, ...tokenizers, ...parts];
const sorted = (paths: readonly string[]) => [...paths].sort();

/** What stabilityai/stable-diffusion-xl-base-1.0 has. */
const base = [
  ...model,
  ...plain,
  ...marked,
  ...plain.map((path) => path.replace(/safetensors$/, "bin")),
  "sd_xl_base_1.0.safetensors",
  "sd_xl_base_1.0_0.9vae.safetensors",
  "sd_xl_offset_example-lora_1.0.safetensors",
  "unet/model.onnx",
  "unet/openvino_model.bin",
  "text_encoder/flax_model.msgpack",
  "vae_1_0/diffusion_pytorch_model.safetensors",
  "vae_decoder/model.onnx",
  "README.md",
];

test("each component in one form only, and nothing else", () => {
  expect(sorted(chooseFiles(base, repo).files)).toEqual(sorted([...model, ...plain]));
  expect(chooseFiles(base, repo).open).toBe("");
});

test("the variant where there is one", () => {
  expect(sorted(chooseFiles(base, repo, { variant: "fp16" }).files)).toEqual(sorted([...model, ...marked]));
  const partly = base.filter((path) => path !== "vae/diffusion_pytorch_model.fp16.safetensors");
  expect(chooseFiles(partly, repo, { variant: "fp16" }).files).toContain("vae/diffusion_pytorch_model.safetensors");
});

test("fp16 where there is nothing else, and bin where there is no safetensors", () => {
  expect(sorted(chooseFiles([...model, ...marked], repo).files)).toEqual(sorted([...model, ...marked]));
  const pickled = [...model, ...plain.slice(0, 2).map((p) => p.replace(/safetensors$/, "bin")), ...plain.slice(2)];
  expect(sorted(chooseFiles(pickled, repo).files)).toEqual(sorted(pickled));
});

test.each(["bf16", "non_ema", "fp8"])("the variant %s where there is nothing else", (mark) => {
  for (const end of ["safetensors", "bin"]) {
    const only = plain.map((path) => path.replace(".safetensors", `.${mark}.${end}`));
    expect(sorted(chooseFiles([...model, ...only], repo).files)).toEqual(sorted([...model, ...only]));
  }
});

test("shards of a variant that is not asked for, and of .bin", () => {
  const rest = plain.slice(1);
  for (const [index, ...shards] of [
    ["unet/diffusion_pytorch_model.safetensors.index.bf16.json", "unet/diffusion_pytorch_model.bf16-00001-of-00001.safetensors"],
    ["unet/diffusion_pytorch_model.bin.index.json", "unet/diffusion_pytorch_model-00001-of-00001.bin"],
    ["unet/diffusion_pytorch_model.bin.index.bf16.json", "unet/diffusion_pytorch_model.bf16-00001-of-00001.bin"],
  ]) {
    const paths = [...model, index!, ...shards, ...rest];
    expect(sorted(chooseFiles(paths, repo).files)).toEqual(sorted(paths));
  }
});

test("parts that are given apart are left, and need not be there", () => {
  const without = ["unet", "vae"] as const;
  const left = (path: string): boolean => !without.some((name) => path.startsWith(`${name}/`));
  const wanted = sorted([...model, ...plain].filter(left));
  expect(sorted(chooseFiles(base, repo, { without }).files)).toEqual(wanted);
  expect(sorted(chooseFiles(base.filter(left), repo, { without }).files)).toEqual(wanted);
});

test("one part of a model alone, and a folder by its name", () => {
  const vae = ["vae/config.json", "vae/diffusion_pytorch_model.safetensors"];
  expect(chooseFiles(base, repo, { part: "vae" })).toEqual({ files: vae, open: "vae" });
  expect(chooseFiles(["vae/config.json", vae[1]!], repo, { part: "vae" }).open).toBe("vae");
  expect(chooseFiles(base, repo, { part: "unet", variant: "fp16" })).toEqual({
    files: ["unet/config.json", "unet/diffusion_pytorch_model.fp16.safetensors", "scheduler/scheduler_config.json"],
    open: "unet",
  });
  expect(chooseFiles(base, { ...repo, file: "vae_1_0" }).open).toBe("vae_1_0");
  const alone = ["config.json", "diffusion_pytorch_model.safetensors", "sdxl_vae.safetensors"];
  expect(chooseFiles(alone, repo, { part: "vae" })).toEqual({ files: alone.slice(0, 2), open: "" });
});

test.each([
  ["", ["unet/diffusion_pytorch_model.safetensors.index.json", "-00001-of-00002", "-00002-of-00002"]],
  ["fp16", ["unet/diffusion_pytorch_model.safetensors.index.fp16.json", ".fp16-00001-of-00002", ".fp16-00002-of-00002"]],
  ["fp16", ["unet/diffusion_pytorch_model.fp16.safetensors.index.json", "-00001-of-00002.fp16", "-00002-of-00002.fp16"]],
])("shards with their index, variant %j", (variant, [index, ...ends]) => {
  const shards = ends.map((end) => `unet/diffusion_pytorch_model${end}.safetensors`);
  const paths = [...model, index!, ...shards, ...plain.slice(1)];
  expect(sorted(chooseFiles(paths, repo, { variant }).files)).toEqual(sorted(paths));
  expect(() =>
    chooseFiles(
      paths.filter((path) => path !== shards[1]),
      repo,
      { variant },
    ),
  ).toThrow(/no complete weights of its unet/);
});

test.each([
  ["an adapter", ["README.md", "photomaker-v1.bin"], "photomaker-v1.bin"],
  ["an adapter in two forms", ["photomaker-v2.bin", "photomaker-v2.safetensors"], "photomaker-v2.safetensors"],
  ["an adapter beside other weights", ["photomaker-v2.bin", "other.bin"], "photomaker-v2.bin"],
  ["a LoRA", [".gitattributes", "pytorch_lora_weights.safetensors"], "pytorch_lora_weights.safetensors"],
])("%s", (_, paths, file) => {
  expect(chooseFiles(paths, repo)).toEqual({ files: [file], open: file });
});

/** What madebyollin/taesdxl has. */
const tiny = [
  ...["config.json", "diffusion_pytorch_model.bin", "diffusion_pytorch_model.safetensors"],
  ...["taesdxl_decoder.safetensors", "taesdxl_encoder.safetensors", "README.md"],
];

test("one component alone, with its config", () => {
  const files = ["config.json", "diffusion_pytorch_model.safetensors"];
  expect(chooseFiles(tiny, repo)).toEqual({ files, open: "" });
  expect(chooseFiles([...tiny, "photomaker-v1.bin"], repo).open).toBe("photomaker-v1.bin");
});

test("a named file", () => {
  expect(chooseFiles(base, { ...repo, file: "README.md" })).toEqual({ files: ["README.md"], open: "README.md" });
});

test.each([
  ["download/no-such-file", base, { ...repo, file: "x.bin" }],
  ["download/choose-file", ["a.safetensors", "b.safetensors"], repo],
  ["download/no-weights", ["README.md", "folder/a.safetensors"], repo],
  ["download/no-weights", [...model, ...plain.slice(1), "unet/flax_model.msgpack"], repo],
  ["download/not-sdxl", base.filter((path) => !path.startsWith("text_encoder_2")), repo],
])("%s", (code, paths, id) => {
  expect(() => chooseFiles(paths, id)).toThrow(expect.objectContaining({ name: "UserError", code }));
});
