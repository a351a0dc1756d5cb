import { cp, mkdir, mkdtemp, rename as move, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { goldenPath, hasGolden } from "../testing/golden.ts";
import { makePickle, makeTorchZip, pickledTensor } from "../testing/made-files.ts";
import { readComponentFolder } from "./component-folder.node.ts";
import { openModel } from "./open-model.node.ts";
import { openTensors } from "./open-tensors.node.ts";
import { readBytes, readFloats } from "./read-tensor.ts";
import { copyTensor, writeSafetensors } from "./safetensors-write.node.ts";
import { DTYPE_BYTES, elementCount, type StoredDType } from "./tensor-entry.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "model-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** A copy of the tiny model made of links, for a test to damage. */
async function copyOfTiny(): Promise<string> {
  const source = goldenPath("tiny-sdxl");
  const target = join(folder, "tiny");
  for (const { name, parentPath } of (await readdir(source, { recursive: true, withFileTypes: true })).filter((e) =>
    e.isFile(),
  )) {
    const inside = parentPath.slice(source.length);
    await mkdir(join(target, inside), { recursive: true });
    if (name.endsWith(".json")) await cp(join(parentPath, name), join(target, inside, name));
    else await symlink(join(parentPath, name), join(target, inside, name));
  }
  return target;
}

type Spec = Record<string, readonly [StoredDType, readonly number[]]>;

/** A safetensors file of zeros. */
const writeZeros = (path: string, spec: Spec, metadata: Record<string, string> = {}) =>
  writeSafetensors(
    path,
    Object.entries(spec).map(([name, [dtype, shape]]) => ({
      name,
      dtype,
      shape,
      data: async () => new Uint8Array(elementCount(shape) * DTYPE_BYTES[dtype]),
    })),
    metadata,
  );

const single: Spec = JSON.parse(await readFile(goldenPath("tiny-sdxl.header.json"), "utf8")).tensors;

test("a diffusers folder", async () => {
  const model = await openModel(goldenPath("tiny-sdxl"));
  expect(model.kind).toBe("folder");
  expect(model.components.unet.config!.cross_attention_dim).toBe(40);
  expect(model.components.vae.tensors.get("decoder.conv_in.weight")!.dtype).toBe("F32");
  expect(model.scheduler!._class_name).toBe("EulerDiscreteScheduler");
  expect(model.tokenizers!.tokenizer_2).toBe(goldenPath("tiny-sdxl", "tokenizer_2"));
});

test("a variant of reduced precision is used only where there is nothing else, with a notice", async () => {
  const tiny = await copyOfTiny();
  const base = join(tiny, "unet/diffusion_pytorch_model");
  await move(`${base}.safetensors`, `${base}.fp16.safetensors`);
  const model = await openModel(tiny);
  expect(model.notices.map(({ code, message }) => `${code}: ${message}`)).toContain(
    "model/weights-chosen: unet: diffusion_pytorch_model.fp16.safetensors is used.",
  );
  await symlink(`${base}.fp16.safetensors`, `${base}.safetensors`);
  const both = await openModel(tiny);
  expect(both.components.unet.files).toEqual([`${base}.safetensors`]);
  expect(both.notices.map(({ message }) => message)).toContain(
    "unet: diffusion_pytorch_model.safetensors is used, not diffusion_pytorch_model.fp16.safetensors.",
  );
});

test("a model without scheduler and tokenizers has SDXL's usual ones, with notices", async () => {
  const tiny = await copyOfTiny();
  for (const part of ["scheduler", "tokenizer_2"]) await rm(join(tiny, part), { recursive: true });
  const { scheduler, tokenizers, notices } = await openModel(tiny);
  expect([scheduler, tokenizers]).toEqual([undefined, undefined]);
  expect(notices.map(({ code }) => code)).toEqual(["model/no-scheduler", "model/no-tokenizer"]);
});

test.each(["bf16", "ema", "non_ema"])("the variant %s alone is used, with a notice", async (variant) => {
  const tiny = await copyOfTiny();
  for (const part of ["unet/diffusion_pytorch_model", "text_encoder/model"])
    await move(join(tiny, `${part}.safetensors`), join(tiny, `${part}.${variant}.safetensors`));
  const model = await openModel(tiny);
  expect(model.notices.map(({ message }) => message)).toContain(`unet: diffusion_pytorch_model.${variant}.safetensors is used.`);
  expect(model.components.text_encoder.files).toEqual([join(tiny, `text_encoder/model.${variant}.safetensors`)]);
});

test("model_index.json, a component and its file lead to their model", async () => {
  const tiny = await copyOfTiny();
  for (const inside of ["model_index.json", "unet", "unet/diffusion_pytorch_model.safetensors"])
    expect(await openModel(join(tiny, inside))).toMatchObject({ kind: "folder", path: tiny });
});

test("a link without its file is named", async () => {
  const tiny = await copyOfTiny();
  const weights = join(tiny, "vae/diffusion_pytorch_model.safetensors");
  await rm(weights);
  await symlink(join(folder, "blob"), weights);
  await expect(openModel(tiny)).rejects.toMatchObject({
    code: "model/broken-link",
    message: expect.stringContaining(join(folder, "blob")),
  });
});

async function shard(tiny: string): Promise<{ index: string; parts: string[] }> {
  const unet = join(tiny, "unet");
  const whole = join(unet, "diffusion_pytorch_model.safetensors");
  const entries = [...(await openTensors(whole)).tensors.values()];
  const parts = ["a.safetensors", "b.safetensors"];
  const map: Record<string, string> = {};
  for (const [i, part] of parts.entries()) {
    const own = entries.filter((_, j) => j % 2 === i);
    await writeSafetensors(join(unet, part), own.map(copyTensor));
    for (const { name } of own) map[name] = part;
  }
  await rm(whole);
  const index = `${whole}.index.json`;
  await writeFile(index, JSON.stringify({ metadata: {}, weight_map: map }));
  return { index, parts: parts.map((part) => join(unet, part)) };
}

test("shards are read through their index, which must be right", async () => {
  const tiny = await copyOfTiny();
  const { index, parts } = await shard(tiny);
  const { unet } = (await openModel(tiny)).components;
  const whole = await openTensors(goldenPath("tiny-sdxl/unet/diffusion_pytorch_model.safetensors"));
  expect(unet.files).toEqual(parts);
  for (const [name, entry] of whole.tensors)
    expect(Buffer.compare(await readBytes(unet.tensors.get(name)!), await readBytes(entry)), name).toBe(0);

  const text = await readFile(index, "utf8");
  await writeFile(
    index,
    text.replace('"conv_in.weight":"b', '"conv_in.weight":"a').replace('"conv_in.bias":"a', '"conv_in.bias":"b'),
  );
  await expect(openModel(tiny)).rejects.toMatchObject({ code: "model/shard-index" });
  await writeFile(index, text.replaceAll("b.safetensors", "../b.safetensors"));
  await expect(openModel(tiny)).rejects.toMatchObject({ code: "model/shard-index" });
  await writeFile(index, text);
  await rm(parts[1]!);
  await expect(openModel(tiny)).rejects.toMatchObject({
    code: "model/shard-missing",
    message: expect.stringContaining("b.safetensors"),
  });
});

test.runIf(hasGolden("tiny-sdxl-unet-sharded"))("shards that diffusers wrote", async () => {
  const { tensors } = (await readComponentFolder(goldenPath("tiny-sdxl-unet-sharded/unet")))!;
  const whole = await openTensors(goldenPath("tiny-sdxl/unet/diffusion_pytorch_model.safetensors"));
  expect([...tensors.keys()].sort()).toEqual([...whole.tensors.keys()].sort());
  for (const [name, entry] of whole.tensors) expect(await readFloats(tensors.get(name)!), name).toEqual(await readFloats(entry));
});

test("attention of an old VAE gets today's names", async () => {
  const tiny = await copyOfTiny();
  const path = join(tiny, "vae/diffusion_pytorch_model.safetensors");
  const vae = await openTensors(path);
  const older = [...vae.tensors.values()].map((entry) => ({
    ...copyTensor(entry),
    name: entry.name
      .replace(".to_q.", ".query.")
      .replace(".to_k.", ".key.")
      .replace(".to_v.", ".value.")
      .replace(".to_out.0.", ".proj_attn."),
  }));
  expect(older.filter(({ name }) => name.includes("query"))).toHaveLength(4);
  await writeSafetensors(path, older);
  expect([...(await openModel(tiny)).components.vae.tensors.keys()].sort()).toEqual([...vae.tensors.keys()].sort());
});

test("a single file takes its configs from the folder given or the one beside it, or works without", async () => {
  const path = join(folder, "tiny.safetensors");
  await writeZeros(path, single);
  const alone = await openModel(path);
  expect(alone.kind).toBe("single-file");
  expect(alone.components.unet.config).toBeUndefined();
  expect([alone.scheduler, alone.tokenizers, alone.notices]).toEqual([undefined, undefined, []]);
  const named = await openModel(path, { config: goldenPath("tiny-sdxl") });
  expect(named.components.text_encoder_2.config!.hidden_act).toBe("gelu");
  await copyOfTiny();
  const beside = await openModel(path);
  expect(beside.components.unet.config).toEqual(named.components.unet.config);
  expect(beside.notices.map(({ code }) => code)).toEqual(["model/config-found"]);
  await expect(openModel(path, { config: join(folder, "none") })).rejects.toMatchObject({ code: "file/missing" });
});

test("a single file may say that it predicts velocity, and may have unknown tensors", async () => {
  const path = join(folder, "x.safetensors");
  await writeZeros(path, { ...single, v_pred: ["F32", [0]], ztsnr: ["F32", [0]], strange: ["F32", [1]] });
  const model = await openModel(path);
  expect(model.scheduler).toEqual({ prediction_type: "v_prediction", rescale_betas_zero_snr: true });
  expect(model.notices.map(({ code }) => code)).toEqual(["model/unknown-names", "model/v-prediction"]);
  expect(model.notices[0]!.message).toContain("1 tensor is not used: strange.");
});

test.each([
  ["modelspec.prediction_type", "v"],
  ["modelspec.predict_key", "v"],
  ["ss_v_parameterization", "True"],
])("the metadata %s: %s say that it predicts velocity", async (key, value) => {
  const path = join(folder, "x.safetensors");
  await writeZeros(path, single, { [key]: value });
  const model = await openModel(path);
  expect(model.scheduler).toEqual({ prediction_type: "v_prediction" });
  expect(model.notices.map(({ code }) => code)).toEqual(["model/v-prediction"]);
});

test.each<[string, Spec, Record<string, string>]>([['"flow"', single, { "modelspec.prediction_type": "flow" }]])(
  "%s is refused by its name",
  async (name, spec, metadata) => {
    const path = join(folder, "x.safetensors");
    await writeZeros(path, spec, metadata);
    await expect(openModel(path)).rejects.toMatchObject({ code: "model/prediction", message: expect.stringContaining(name) });
  },
);

test("a .ckpt is unwrapped from its state_dict", async () => {
  const values = Object.entries(single).flatMap(([text, [, shape]]) => {
    return [{ text }, ...pickledTensor("0", 49408 * 24, shape, strides(shape), 0, "HalfStorage"), "s"];
  });
  const pickle = makePickle("\x80\x02}", { text: "state_dict" }, "}", ...values, "s", { text: "global_step" }, "K\x07s.");
  const path = join(folder, "x.ckpt");
  await writeFile(path, makeTorchZip(pickle, { 0: new Uint8Array(49408 * 48) }));
  const model = await openModel(path);
  expect(model.components.unet.tensors.size).toBe((await openModel(goldenPath("tiny-sdxl"))).components.unet.tensors.size);
});

const strides = (shape: readonly number[]) => shape.map((_, i) => elementCount(shape.slice(i + 1)));

const renamed = (from: string, to: string): Spec =>
  Object.fromEntries(Object.entries(single).map(([name, spec]) => [name.replace(from, to), spec]));
const without = (prefix: string): Spec => Object.fromEntries(Object.entries(single).filter(([name]) => !name.startsWith(prefix)));
const only = (prefix: string): Spec => Object.fromEntries(Object.entries(single).filter(([name]) => name.startsWith(prefix)));
const unetInput = "model.diffusion_model.input_blocks.0.0.weight";
const unetOutput = "model.diffusion_model.out.2.weight";

test.each<[string, string, string, Spec]>([
  ["an SD 1.5 checkpoint", "model/not-sdxl", "Stable Diffusion 1.x", renamed("conditioner.embedders.0.", "cond_stage_model.")],
  ["an SD 2 checkpoint", "model/not-sdxl", "Stable Diffusion 2.x", renamed("conditioner.embedders.1.", "cond_stage_model.")],
  [
    "an SD 1.5 UNet",
    "model/not-sdxl",
    "1.x",
    { "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": ["F16", [320, 768]] },
  ],
  [
    "the refiner",
    "model/refiner",
    "refiner",
    { ...without("conditioner."), "conditioner.embedders.0.model.ln_final.weight": ["F16", [24]] },
  ],
  ["an inpainting checkpoint", "model/inpainting", "inpainting", { ...single, [unetInput]: ["F16", [16, 9, 3, 3]] }],
  [
    "a UNet that edits by instructions",
    "model/wrong-component",
    "takes 8 channels and its VAE gives 4",
    { ...single, [unetInput]: ["F16", [16, 8, 3, 3]] },
  ],
  [
    "a UNet that says its variance too",
    "model/wrong-component",
    "answers with 8 channels and its VAE gives 4",
    { ...single, [unetOutput]: ["F16", [8, 16, 3, 3]] },
  ],
  ["a file without VAE", "model/missing-component", "no vae", without("first_stage_model.")],
  ["a UNet alone", "model/missing-component", "no vae, no text_encoder, no text_encoder_2", only("model.diffusion_model.")],
  ["a LoRA", "model/wrong-kind", "a LoRA", { "lora_unet_x.lora_down.weight": ["F16", [2, 4]] }],
  ["an IP-Adapter", "model/wrong-kind", "IP-Adapter", { "image_proj.proj.weight": ["F16", [2, 4]] }],
  ["anything", "model/wrong-kind", "something else", { x: ["F16", [2, 4]] }],
  [
    "text encoders of other widths",
    "model/wrong-component",
    "text embeddings 40 wide",
    { ...single, "conditioner.embedders.1.model.ln_final.weight": ["F16", [25]] },
  ],
])("refuses %s as a model: %s", async (_, code, words, spec) => {
  const path = join(folder, "x.safetensors");
  await writeZeros(path, spec);
  await expect(openModel(path)).rejects.toMatchObject({ name: "UserError", code, message: expect.stringContaining(words) });
});

test("refuses files and folders that are no model at all", async () => {
  await expect(openModel(join(folder, "none"))).rejects.toMatchObject({ code: "file/missing" });
  await expect(openModel(folder)).rejects.toMatchObject({ code: "model/not-a-model" });
  await expect(openModel(goldenPath("tiny-photomaker-v1.bin"))).rejects.toMatchObject({
    code: "model/wrong-kind",
    message: expect.stringContaining("PhotoMaker V1"),
  });
});

test.each<[string, string, string, (tiny: string) => Promise<unknown>]>([
  ["without its VAE", "model/missing-component", "no vae", (tiny) => rm(join(tiny, "vae"), { recursive: true })],
  ["without weights", "model/missing-component", "no unet", (tiny) => rm(join(tiny, "unet/diffusion_pytorch_model.safetensors"))],
  ["without a config", "model/missing-component", "unet/config.json", (tiny) => rm(join(tiny, "unet/config.json"))],
  ["with a broken config", "config/not-json", "unet/config.json", (tiny) => writeFile(join(tiny, "unet/config.json"), '{"a":')],
  [
    "for Stable Diffusion 1.5",
    "model/not-sdxl",
    "StableDiffusionPipeline",
    (tiny) => writeFile(join(tiny, "model_index.json"), '{"_class_name": "StableDiffusionPipeline"}'),
  ],
  [
    "of the refiner",
    "model/refiner",
    "refiner",
    (tiny) =>
      writeFile(
        join(tiny, "model_index.json"),
        '{"_class_name": "StableDiffusionXLImg2ImgPipeline", "text_encoder": [null, null], "text_encoder_2": ["transformers", "x"]}',
      ),
  ],
  [
    "with another UNet",
    "model/not-sdxl",
    "Stable Diffusion 1.x",
    async (tiny) => {
      await rm(join(tiny, "unet/diffusion_pytorch_model.safetensors"));
      await writeZeros(join(tiny, "unet/diffusion_pytorch_model.safetensors"), {
        "conv_in.weight": ["F16", [320, 4, 3, 3]],
        "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight": ["F16", [320, 768]],
      });
    },
  ],
  [
    "with a UNet for inpainting",
    "model/inpainting",
    "9 input channels",
    async (tiny) => {
      const path = join(tiny, "unet/diffusion_pytorch_model.safetensors");
      const spec = [...(await openTensors(path)).tensors].map(([name, { dtype, shape }]) => [name, [dtype, shape]] as const);
      await writeZeros(path, { ...Object.fromEntries(spec), "conv_in.weight": ["F16", [16, 9, 3, 3]] });
    },
  ],
  [
    "with its text encoders exchanged",
    "model/wrong-component",
    "text_encoder_2 is a CLIP text encoder alone",
    async (tiny) => {
      await move(join(tiny, "text_encoder"), join(tiny, "x"));
      await move(join(tiny, "text_encoder_2"), join(tiny, "text_encoder"));
      await move(join(tiny, "x"), join(tiny, "text_encoder_2"));
    },
  ],
])("refuses a folder %s: %s", async (_, code, words, spoil) => {
  const tiny = await copyOfTiny();
  await spoil(tiny);
  await expect(openModel(tiny)).rejects.toMatchObject({ name: "UserError", code, message: expect.stringContaining(words) });
});

test("configs with Python's infinities are read", async () => {
  const tiny = await copyOfTiny();
  await writeFile(join(tiny, "scheduler/scheduler_config.json"), '{"lambda_min_clipped": -Infinity, "a": "NaN", "b": NaN}');
  expect((await openModel(tiny)).scheduler).toEqual({ lambda_min_clipped: Number.NEGATIVE_INFINITY, a: "NaN", b: null });
});
