import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { floats } from "../../../core/array.ts";
import { gaussians } from "../../../core/random/gaussians.ts";
import { seededRandom } from "../../../core/random/seeded-random.ts";
import { Checkpoint } from "../../../graph/checkpoint.ts";
import { mulDims, namedDim } from "../../../graph/dim.ts";
import { quantisedUpsampledConvOp } from "../../../graph/ops/quantised.ts";
import { upsample } from "../../../graph/ops/resample.ts";
import { input } from "../../../graph/ops/source.ts";
import { inOrder } from "../../../graph/rewrite.ts";
import { is, type Tensor } from "../../../graph/tensor.ts";
import { Weights } from "../../../graph/weights.ts";
import { conv2d } from "../../../nn/layers.ts";
import { decibels } from "../../../testing/decibels.ts";
import { randomWeights } from "../../../testing/random-weights.ts";
import { weightRanges } from "../../../testing/weight-ranges.ts";
import type { Tensors } from "../../../weights/index.ts";
import { ortRuntime } from "../ort-runtime.ts";
import { prepare } from "./prepare.ts";

const folder = await mkdtemp(join(tmpdir(), "upsampled-"));
afterAll(() => rm(folder, { recursive: true }));

const [CHANNELS, OUT, H, W] = [24, 32, 8, 6];
const KEY = "up_blocks.0.upsamplers.0.conv";

const weights = (): Promise<Tensors> =>
  randomWeights(join(folder, "weights.safetensors"), { [`${KEY}.weight`]: [OUT, CHANNELS, 3, 3], [`${KEY}.bias`]: [OUT] }, 3);

/** The same convolution of a picture of any height, and of one whose height divides into strips. */
function graph(tensors: Tensors): Record<"whole" | "strips", Tensor> {
  const [b, h, quarter, w] = ["b", "h", "quarter", "w"].map(namedDim);
  const kernel = new Weights(new Checkpoint(tensors, "test")).at(...KEY.split("."));
  const enlarged = (x: Tensor): Tensor => conv2d(upsample(x, 2), kernel, { out: OUT, kernel: 3, pad: 1 });
  return {
    whole: enlarged(input("x", [b!, CHANNELS, h!, w!])),
    strips: enlarged(input("tall", [b!, CHANNELS, mulDims(quarter!, 4), w!])),
  };
}

test.each(weightRanges.flatMap((weightRange) => [["unet", weightRange] as const, ["vae", weightRange] as const]))(
  "in the %s, a convolution behind an upsampling in 8 bits (%s) is close to float32, whole and in strips",
  async (model, weightRange) => {
    const outputs = graph(await weights());
    const cache = { folder: join(folder, `${model}-${weightRange}`), mostBytes: 1e9 };
    const over = await prepare({ model, from: "test", outputs, pairs: new Map(), weightRange }, { cache });
    const prepared = over(outputs);
    expect(inOrder(Object.values(prepared)).filter((t) => is(t, quantisedUpsampledConvOp))).toHaveLength(2);
    for (const name of ["whole", "strips"] as const) expect(prepared[name].shape).toEqual(outputs[name].shape);
    const runtime = ortRuntime({ threads: 1 });
    try {
      const values = gaussians(seededRandom(4), 2 * CHANNELS * H * W);
      const exact = await (await runtime.load(outputs)).run(feeds(values));
      const session = await runtime.load(prepared);
      const found = await session.run(feeds(values));
      expect(found.whole.dims).toEqual([2, OUT, 2 * H, 2 * W]);
      expect(found.strips.data).toEqual(found.whole.data);
      expect(decibels(data(exact.whole), data(found.whole))).toBeGreaterThan(35);
      // one pixel is a thousand times as large as the others, which 8 bits would round to zero
      for (let channel = 0; channel < CHANNELS; channel++) values[channel * H * W] = 1000;
      const far = (i: number): boolean => Math.floor(i / (2 * W)) % (2 * H) > 3 && i < OUT * 4 * H * W;
      const outlier = await (await runtime.load(outputs)).run(feeds(values));
      const left = decibels(data(outlier.whole), data((await session.run(feeds(values))).whole), far);
      expect(left).toBeGreaterThan(25);
    } finally {
      await runtime.close();
    }
  },
);

const feeds = (values: Float32Array) => {
  const x = floats(values, 2, CHANNELS, H, W);
  return { x, tall: x };
};
const data = (result: { readonly data: unknown }): Float32Array => result.data as Float32Array;
