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

test("latents lose the mean and deviation that the denoiser does not know", async () => {
  const [means, deviations] = [
    [-1.5, 1.875, -1.25, 2.5],
    [8, 4, 2, 1],
  ];
  const inWeights = vaeEncoderGraph({ ...vae, latents: { means: means!, deviations: deviations!, scalingFactor: 0.5 } }, shape);
  const config = { ...vae.config, latents_mean: means, latents_std: deviations, scaling_factor: 0.5 };
  const inConfig = vaeEncoderGraph({ ...vae, config }, shape);
  const mean = await (await openVaeEncoder(runtime, inWeights, "mean"))(pixels);
  const area = (SIDE / inWeights.factor) ** 2;
  const expected = mean.map((v, i) => {
    const channel = Math.floor(i / area) % 4;
    return ((v - means![channel]!) * 0.5) / deviations![channel]!;
  });
  for (const graph of [inWeights, inConfig])
    expect(await (await openVaeEncoder(runtime, graph, "latents"))(pixels)).toMatchGolden(expected, 1e-6, { relative: true });
  const wrong = { ...vae.config, latents_mean: [1], latents_std: [1] };
  expect(() => vaeEncoderGraph({ ...vae, config: wrong }, shape)).toThrow(expect.objectContaining({ code: "model/config" }));
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
