import { afterAll, expect, test } from "vitest";
import { floats } from "../core/array.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { goldenPath } from "../testing/golden.ts";
import { openModel } from "../weights/index.ts";
import { vaeGraph } from "./graphs.ts";
import { autoencoderGraph, openVaeEncoder, vaeEncoderGraph } from "./vae-encoder.ts";

const runtime = ortRuntime({ threads: 1 });
afterAll(() => runtime.close());

const model = await openModel(goldenPath("tiny-sdxl"));
const { vae } = model.components;
const SIDE = 16;
const shape = [2, 3, SIDE, SIDE];
const pixels = floats(
  Float32Array.from({ length: 2 * 3 * SIDE * SIDE }, (_, i) => Math.sin(12.9898 * i)),
  ...shape,
);

test("latents are the means in the denoiser's scale", async () => {
  const config = { ...vae.config, shift_factor: 0.25 };
  const graph = vaeEncoderGraph({ ...vae, config }, shape);
  const [mean, latents] = [
    await (await openVaeEncoder(runtime, graph, "mean"))(pixels),
    await (await openVaeEncoder(runtime, graph, "latents"))(pixels),
  ];
  expect(mean).toHaveLength(2 * graph.config.latentChannels * (SIDE / graph.factor) ** 2);
  const scale = Math.fround(graph.config.scalingFactor);
  expect(latents).toEqual(mean.map((v) => Math.fround(Math.fround(v - 0.25) * scale)));
});

test("the autoencoder's output equals the decoder's output for the means", async () => {
  const graph = vaeEncoderGraph(vae, shape);
  const { decode, config, factor } = vaeGraph(model);
  const mean = await (await openVaeEncoder(runtime, graph, "mean"))(pixels);
  const side = SIDE / factor;
  const decoded = await (await runtime.load(decode)).run({ latents: floats(mean, 2, config.latentChannels, side, side) });
  const { rebuilt } = await (await runtime.load(autoencoderGraph(vae, shape))).run({ pixels });
  expect(rebuilt.data).toHaveLength(pixels.data.length);
  const apart = (rebuilt.data as Float32Array).map((v, i) => Math.abs(v - (decoded.picture.data as Float32Array)[i]!));
  expect(Math.max(...apart)).toBeLessThan(1e-5);
});
