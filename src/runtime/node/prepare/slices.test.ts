import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Checkpoint } from "../../../graph/checkpoint.ts";
import { slice } from "../../../graph/ops/layout.ts";
import { quantisedLinearOp } from "../../../graph/ops/quantised.ts";
import { input } from "../../../graph/ops/source.ts";
import { slicedLinears } from "../../../graph/quantise.ts";
import { inOrder } from "../../../graph/rewrite.ts";
import { is, type Tensor } from "../../../graph/tensor.ts";
import { Weights } from "../../../graph/weights.ts";
import { linear } from "../../../nn/layers.ts";
import { randomArray } from "../../../testing/random-array.ts";
import { randomWeights } from "../../../testing/random-weights.ts";
import { weightRanges } from "../../../testing/weight-ranges.ts";
import type { Tensors } from "../../../weights/index.ts";
import { ortRuntime } from "../ort-runtime.ts";
import { prepare } from "./prepare.ts";

const folder = await mkdtemp(join(tmpdir(), "slices-"));
afterAll(() => rm(folder, { recursive: true }));

const [WIDTH, OUT, ROWS] = [96, 128, 24];

const weights = (): Promise<Tensors> =>
  randomWeights(join(folder, "weights.safetensors"), { "both.weight": [OUT, WIDTH], "both.bias": [OUT] }, 3);

/** A layer used in two slices and, if `whole`, also as a whole. */
function graph(tensors: Tensors, cut: number, whole: boolean): Record<string, Tensor> {
  const both = linear(input("x", [ROWS, WIDTH]), new Weights(new Checkpoint(tensors, "test")).at("both"), { out: OUT });
  const slices = { right: slice(both, -1, cut, OUT - cut), left: slice(both, -1, 0, cut) };
  return whole ? { ...slices, both } : slices;
}

test.each(weightRanges)(
  "slices of a layer in 8 bits (%s) become layers, which give the slices of its result",
  async (weightRange) => {
    const tensors = await weights();
    const cache = { folder: join(folder, weightRange), mostBytes: 1e9 };
    const rounded = async (whole: boolean) => {
      const outputs = graph(tensors, 48, whole);
      const over = await prepare({ model: "unet", from: "test", outputs, pairs: new Map(), weightRange }, { cache });
      return over(outputs);
    };
    const [apart, together] = [await rounded(false), await rounded(true)];
    const layers = (outputs: Record<string, Tensor>) => inOrder(Object.values(outputs)).filter((t) => is(t, quantisedLinearOp));
    expect(layers(apart).map(({ shape }) => shape[1])).toEqual([80, 48]);
    expect(layers(together)).toHaveLength(1);
    const runtime = ortRuntime({ threads: 1 });
    try {
      const feeds = { x: randomArray(4, ROWS, WIDTH) };
      const [a, b] = [await (await runtime.load(apart)).run(feeds), await (await runtime.load(together)).run(feeds)];
      expect(a.left).toEqual(b.left);
      expect(a.right).toEqual(b.right);
    } finally {
      await runtime.close();
    }
  },
);

test("a layer is split into slices only where these are adjacent and complete, and it has no other use", async () => {
  const tensors = await weights();
  expect(slicedLinears(Object.values(graph(tensors, 48, false)))).toEqual(new Map([["both.weight", [48, 80]]]));
  expect(slicedLinears(Object.values(graph(tensors, 48, true))).size).toBe(0);
  const { left } = graph(tensors, 48, false);
  expect(slicedLinears([left!]).size).toBe(0);
});
