import { expect, test } from "vitest";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { randomArray } from "../testing/random-array.ts";
import { grad } from "./grad.ts";
import { mul } from "./ops/elementwise.ts";
import { reduceSum, slice } from "./ops/layout.ts";
import { linear, linearOp } from "./ops/matrix.ts";
import { input } from "./ops/source.ts";
import { inOrder, rewriteNamed } from "./rewrite.ts";
import { sliceTrained } from "./sliced-linear.ts";
import { is, type Tensor } from "./tensor.ts";

const [x, w, b] = [input("x", [2, 3, 8]), input("w", [10, 8]), input("b", [10])];

/** A gated layer, its loss and its gradients. */
function outputs(bias: Tensor | undefined, rule: typeof sliceTrained) {
  const both = linear(x, w, bias);
  const y = mul(slice(both, -1, 0, 5), slice(both, -1, 5, 5));
  const { loss } = rewriteNamed({ loss: reduceSum(mul(y, y)) }, rule);
  const wrt = [x, w, ...(bias === undefined ? [] : [bias])];
  return { loss, ...Object.fromEntries(grad(loss, wrt).map((g, i) => [`grad:${"xwb"[i]}`, g])) };
}

test.each([
  ["with a bias", b],
  ["without one", undefined],
] as const)("slices of a trained layer %s are layers, with the same gradients", async (_, bias) => {
  const [apart, whole] = [outputs(bias, sliceTrained), outputs(bias, () => undefined)];
  const layers = (of: Readonly<Record<string, Tensor>>) => inOrder(Object.values(of)).filter((t) => is(t, linearOp));
  expect(layers(apart).map(({ shape }) => shape)).toEqual([
    [2, 3, 5],
    [2, 3, 5],
  ]);
  expect(layers(whole)).toHaveLength(1);
  const feeds = { x: randomArray(1, 2, 3, 8), w: randomArray(2, 10, 8), ...(bias && { b: randomArray(3, 10) }) };
  const runtime = ortRuntime({ threads: 1 });
  try {
    const [got, expected] = [await (await runtime.load(apart)).run(feeds), await (await runtime.load(whole)).run(feeds)];
    for (const [name, { data }] of Object.entries(expected))
      expect(got[name as "loss"].data).toMatchGolden(data as Float32Array, 1e-5, { relative: true });
  } finally {
    await runtime.close();
  }
});
