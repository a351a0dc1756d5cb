import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { Checkpoint } from "../graph/checkpoint.ts";
import { namedDim } from "../graph/dim.ts";
import { input } from "../graph/ops/source.ts";
import { Weights } from "../graph/weights.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { goldenPath } from "../testing/golden.ts";
import { goldenTensors } from "../testing/tensors.ts";
import { openTinyVae } from "../weights/open-tiny-vae.node.ts";
import { writeSafetensors } from "../weights/safetensors-write.node.ts";
import { tinyDecode } from "./tiny-autoencoder.ts";
import { tinyAutoencoderConfig } from "./tiny-autoencoder-config.ts";

const runtime = ortRuntime();
afterAll(() => runtime.close());

describe("the tiny autoencoder decodes as diffusers' AutoencoderTiny", () => {
  test.each([
    ["from its folder", []],
    ["from diffusers' file without a config", ["diffusion_pytorch_model.safetensors"]],
    ["from the original's decoder file", ["taesd_decoder.pth"]],
  ])("%s", async (_, file) => {
    const { tensors, config } = await openTinyVae(goldenPath("tiny-autoencoder", ...file));
    const sizes = tinyAutoencoderConfig(config, tensors);
    const checkpoint = new Checkpoint(tensors, "tiny_vae");
    const z = input("z", [namedDim("batch"), sizes.latentChannels, namedDim("height"), namedDim("width")]);
    const session = await runtime.load({ picture: tinyDecode(z, new Weights(checkpoint), sizes) });
    expect(checkpoint.unused()).toEqual([]);
    const golden = await goldenTensors("tiny-autoencoder", "expected.safetensors");
    const { picture } = await session.run({ z: await golden.floats("latents") });
    expect(picture.data as Float32Array).toMatchGolden((await golden.floats("decoded")).data, 1e-5);
  });
});

test("sizes read from tensors are those of the config", async () => {
  const { tensors, config } = await openTinyVae(goldenPath("tiny-autoencoder"));
  expect(tinyAutoencoderConfig(undefined, tensors)).toEqual(tinyAutoencoderConfig(config, tensors));
  expect(tinyAutoencoderConfig(config, tensors)).toMatchObject({ channels: 10, blocks: [3, 2, 2, 1] });
});

test.each([
  ["upsample_fn", "bilinear"],
  ["act_fn", "gelu"],
  ["decoder_block_out_channels", [10, 10, 10, 20]],
  ["num_decoder_blocks", [3, 2]],
])("a config with another %s is refused by name", async (field, value) => {
  const { tensors, config } = await openTinyVae(goldenPath("tiny-autoencoder"));
  expect(() => tinyAutoencoderConfig({ ...config, [field]: value }, tensors)).toThrow(
    expect.objectContaining({ code: "model/config", message: expect.stringContaining(field) }),
  );
});

test("a decoder that makes no pictures of three channels is refused", async () => {
  const { tensors } = await openTinyVae(goldenPath("tiny-autoencoder"));
  const last = [...tensors].filter(([, { shape }]) => shape[0] === 3);
  const other = new Map([
    ...tensors,
    ...last.map(([name, entry]) => [name, { ...entry, shape: [4, ...entry.shape.slice(1)] }] as const),
  ]);
  expect(() => tinyAutoencoderConfig(undefined, other)).toThrow(expect.objectContaining({ code: "tiny-vae/not-pictures" }));
});

test("a file that is no tiny VAE is refused; the error says what it is and what to give", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tiny-vae-"));
  const encoder = join(folder, "taesdxl_encoder.safetensors");
  const shapes = { "0.weight": [10, 3, 3, 3], "1.conv.0.weight": [10, 10, 3, 3] };
  await writeSafetensors(
    encoder,
    Object.entries(shapes).map(([name, shape]) => {
      const data = new Float32Array(shape.reduce((a, b) => a * b));
      return { name, dtype: "F32", shape, data };
    }),
  );
  for (const [path, code, said] of [
    [encoder, "tiny-vae/encoder-only", "the encoder alone"],
    [goldenPath("tiny-sdxl", "vae"), "tiny-vae/wrong-kind", "a VAE alone"],
    [goldenPath("lora", "peft.safetensors"), "tiny-vae/wrong-kind", "a LoRA"],
    [folder, "tiny-vae/not-found", "diffusion_pytorch_model"],
  ] as const)
    await expect(openTinyVae(path)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(said),
      remedy: expect.stringContaining("madebyollin/taesdxl"),
    });
  await rm(folder, { recursive: true });
});
