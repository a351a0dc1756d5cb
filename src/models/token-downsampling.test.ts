import { afterAll, describe, expect, test } from "vitest";
import { floats } from "../core/array.ts";
import { Checkpoint } from "../graph/checkpoint.ts";
import type { Dim } from "../graph/dim.ts";
import { attentionOp } from "../graph/ops/attention.ts";
import { layerNormOp } from "../graph/ops/normalise.ts";
import { Recorder } from "../graph/recorder.ts";
import { inOrder } from "../graph/rewrite.ts";
import { is, size, type Tensor } from "../graph/tensor.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { goldenPath } from "../testing/golden.ts";
import { randomArray } from "../testing/random-array.ts";
import { sdxlUNet, unetOver } from "../testing/sdxl-unet.ts";
import { goldenJson, goldenTensors } from "../testing/tensors.ts";
import { openTensors } from "../weights/open-tensors.node.ts";
import { downsampleTokens } from "./token-downsampling.ts";
import { unetConfig } from "./unet-config.ts";

const runtime = ortRuntime();
afterAll(() => runtime.close());

const { tensors } = await openTensors(goldenPath("tiny-sdxl", "unet", "diffusion_pytorch_model.safetensors"));
const config = unetConfig(goldenJson("tiny-sdxl", "unet", "config.json"), tensors);
const noise = unetOver(new Checkpoint(tensors, "unet"), config);
const golden = await goldenTensors("token-downsampling", "expected.safetensors");
const feeds = {
  latents: await golden.floats("latents"),
  timestep: floats(Float32Array.of(500), 1),
  context: await golden.floats("context"),
  pooled: await golden.floats("pooled"),
  timeIds: await golden.floats("time_ids"),
};

test.each([1, 2, 3])("with keys and values of every %i-th pixel the UNet gives the outputs of diffusers", async (factor) => {
  const session = await runtime.load({ noise: downsampleTokens(noise, factor) });
  const said = (await session.run(feeds)).noise.data as Float32Array;
  expect(said).toMatchGolden((await golden.floats(`noise_${factor}`)).data, 1e-4);
  await session.close();
});

test("sides that the factor does not divide, and pictures smaller than the factor", async () => {
  const session = await runtime.load({ noise: downsampleTokens(noise, 3) });
  for (const [h, w] of [
    [9, 14],
    [2, 3],
    [1, 1],
  ] as const) {
    const out = (await session.run({ ...feeds, latents: randomArray(1, 2, 4, h, w) })).noise;
    expect(out.dims).toEqual([2, 4, h, w]);
    expect([...(out.data as Float32Array)].every(Number.isFinite)).toBe(true);
  }
  await session.close();
});

describe("SDXL at full size", () => {
  const whole = sdxlUNet(new Recorder());
  const attentions = (t: Tensor): Tensor[] => inOrder([t]).filter((y) => is(y, attentionOp));
  const keys = (t: Tensor): string[] => attentions(t).map((y) => keyOf(size(y.inputs[1]!, 1)));
  const queries = (t: Tensor): string[] => attentions(t).map((y) => keyOf(size(y.inputs[0]!, 1)));
  const keyOf = (d: Dim): string => (typeof d === "number" ? `${d}` : d.key);
  const fewer = downsampleTokens(whole, 2);

  test("the ten layers of the largest level that has attention get a quarter of the keys, the sixty below it all", () => {
    const changed = keys(fewer).filter((key, i) => key !== keys(whole)[i]);
    expect(changed).toEqual(Array(10).fill("ceil((ceil((height)/2))/2)*ceil((ceil((width)/2))/2)"));
    expect(keys(whole).filter((key) => key !== "tokens")).toHaveLength(70);
    expect(queries(fewer)).toEqual(queries(whole));
  });

  test("the input of keys and values still comes from a norm, which 8 bits rely on, and is computed once for both", () => {
    for (const { inputs } of attentions(fewer)) {
      const [, key, value] = inputs.map((x) => x.inputs[0]!);
      expect(key).toBe(value);
      if (keyOf(size(key!, 1)) !== "tokens") expect(is(key!, layerNormOp)).toBe(true);
    }
  });
});
