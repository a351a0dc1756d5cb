import { expect, test } from "vitest";
import { namedDim } from "../graph/dim.ts";
import { input } from "../graph/ops/source.ts";
import { Recorder } from "../graph/recorder.ts";
import { Weights } from "../graph/weights.ts";
import { unet } from "./unet.ts";

test("the UNet of SDXL asks for the 1,680 weights and 2,567,463,684 parameters of diffusers' model", () => {
  const recorder = new Recorder();
  const [batch, height, width, tokens] = ["batch", "height", "width", "tokens"].map(namedDim) as [never, never, never, never];
  const noise = unet(
    {
      latents: input("latents", [batch, 4, height, width]),
      timestep: input("timestep", [1]),
      context: input("context", [batch, tokens, 2048]),
      pooled: input("pooled", [batch, 1280]),
      timeIds: input("timeIds", [batch, 6]),
    },
    new Weights(recorder),
    {
      inChannels: 4,
      outChannels: 4,
      channels: [320, 640, 1280],
      depth: [0, 2, 10],
      midDepth: 10,
      upDepth: [0, 2, 10],
      heads: [5, 10, 20],
      layersPerBlock: 2,
      groups: 32,
      contextDim: 2048,
      pooledDim: 1280,
      timeIdDim: 256,
      linearProjection: true,
    },
  );
  expect(noise.shape).toEqual([batch, 4, height, width]);
  expect(recorder.params.size).toBe(1680);
  const parameters = [...recorder.params.values()].reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  expect(parameters).toBe(2_567_463_684);
});
