import { afterAll, describe, expect, test } from "vitest";
import { floats, integers } from "../core/array.ts";
import { Checkpoint } from "../graph/checkpoint.ts";
import { mulDims, namedDim } from "../graph/dim.ts";
import { input } from "../graph/ops/source.ts";
import type { Tensor } from "../graph/tensor.ts";
import { Weights } from "../graph/weights.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { goldenPath, hasGolden } from "../testing/golden.ts";
import { goldenJson, goldenTensors } from "../testing/tensors.ts";
import { openTensors } from "../weights/open-tensors.node.ts";
import type { Tensors } from "../weights/tensor-entry.ts";
import { clipText } from "./clip-text.ts";
import { clipTextConfig } from "./clip-text-config.ts";
import { unet, unetInputs } from "./unet.ts";
import { unetConfig } from "./unet-config.ts";
import { vaeDecode, vaeEncode } from "./vae.ts";
import { vaeConfig } from "./vae-config.ts";

const runtime = ortRuntime();
afterAll(() => runtime.close());
const batch = namedDim("batch");
const height = namedDim("height");
const width = namedDim("width");

async function component(
  name: string,
  file: string,
): Promise<{ tensors: Tensors; weights: Weights; config: unknown; checkpoint: Checkpoint }> {
  const { tensors } = await openTensors(goldenPath("tiny-sdxl", name, file));
  const checkpoint = new Checkpoint(tensors, name);
  return { tensors, checkpoint, weights: new Weights(checkpoint), config: goldenJson("tiny-sdxl", name, "config.json") };
}
const cases = (name: string): { file: string }[] =>
  goldenJson("components", `${name}.json`).cases.filter((c: { file: string }) => hasGolden("components", c.file));

describe("clipText gives the hidden states and the pooled vector of transformers", async () => {
  const load = async (name: "text_encoder" | "text_encoder_2") => {
    const { tensors, weights, config, checkpoint } = await component(name, "model.safetensors");
    const ids = input("ids", [batch, namedDim("tokens")], "i64");
    const pooledAt = input("pooledAt", [batch], "i64");
    const { hiddenStates, pooled } = clipText({ ids, pooledAt }, weights, clipTextConfig(config, tensors, name));
    const outputs: Record<string, Tensor> = Object.fromEntries(hiddenStates.map((h, i) => [`hidden_${i}`, h]));
    if (pooled !== undefined) outputs.pooled = pooled;
    expect(checkpoint.unused().filter((n) => !n.includes("position_ids"))).toEqual([]);
    return runtime.load(outputs);
  };
  const first = await load("text_encoder");
  const second = await load("text_encoder_2");

  test.each(cases("clip_text"))("$file", async ({ file }) => {
    const golden = await goldenTensors("components", file);
    for (const [n, session] of [
      [1, first],
      [2, second],
    ] as const) {
      const ids = await golden.integers(`ids_${n}`);
      const end = ids.indexOf(Math.max(...ids));
      const feeds =
        n === 1 ? { ids: integers(ids, 1, ids.length) } : { ids: integers(ids, 1, ids.length), pooledAt: integers([end], 1) };
      const out = await session.run(feeds);
      for (const name of golden.names().filter((x) => x.startsWith(`hidden_${n}_`)))
        expect(out[name.replace(`_${n}_`, "_")]!.data as Float32Array).toMatchGolden((await golden.floats(name)).data, 5e-5);
      if (n === 2) expect(out.pooled!.data as Float32Array).toMatchGolden((await golden.floats("pooled_2")).data, 5e-5);
    }
  });
});

describe("unet gives the outputs of diffusers, at every size and batch from one session", async () => {
  const { tensors, weights, config, checkpoint } = await component("unet", "diffusion_pytorch_model.safetensors");
  const sizes = unetConfig(config, tensors);
  const noise = unet(unetInputs(sizes, { timesteps: batch }), weights, sizes);
  expect(checkpoint.unused()).toEqual([]);
  const session = await runtime.load({ noise });

  test.each(cases("unet") as { file: string; timestep: number | number[] }[])("$file", async ({ file, timestep }) => {
    const golden = await goldenTensors("components", file);
    const sample = await golden.floats("sample");
    const t = Array.from({ length: sample.dims[0]! }, (_, i) => [timestep].flat()[i] ?? (timestep as number));
    const { noise } = await session.run({
      latents: sample,
      timestep: floats(Float32Array.from(t), t.length),
      context: await golden.floats("encoder_hidden_states"),
      pooled: await golden.floats("text_embeds"),
      timeIds: await golden.floats("time_ids"),
    });
    expect(noise.data as Float32Array).toMatchGolden((await golden.floats("output")).data, 5e-4);
  });
});

describe("vae gives the pictures and latents of diffusers", async () => {
  const { tensors, weights, config, checkpoint } = await component("vae", "diffusion_pytorch_model.safetensors");
  const sizes = vaeConfig(config, tensors);
  const picture = vaeDecode(input("z", [batch, sizes.latentChannels, height, width]), weights, sizes);
  const pixels = input("pixels", [batch, 3, mulDims(height, 8), mulDims(width, 8)]);
  const { mean, logVariance } = vaeEncode(pixels, weights, sizes);
  expect(mean.shape).toEqual([batch, sizes.latentChannels, height, width]);
  expect(checkpoint.unused()).toEqual([]);
  const decoder = await runtime.load({ picture });
  const encoder = await runtime.load({ mean, logVariance });

  test.each(cases("vae"))("$file", async ({ file }) => {
    const golden = await goldenTensors("components", file);
    const decoded = await decoder.run({ z: await golden.floats("latents") });
    expect(decoded.picture.data as Float32Array).toMatchGolden((await golden.floats("decoded")).data, 1e-4);
    const encoded = await encoder.run({ pixels: await golden.floats("pixels") });
    expect(encoded.mean.data as Float32Array).toMatchGolden((await golden.floats("mean")).data, 5e-4);
    const clamped = (encoded.logVariance.data as Float32Array).map((v) => Math.min(20, Math.max(-30, v)));
    expect(clamped).toMatchGolden((await golden.floats("logvar")).data, 5e-4);
  });
});
