import { expect, test } from "vitest";
import { channelBlock } from "../runtime/node/channel-block.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { randomArray } from "../testing/random-array.ts";
import { grad } from "./grad.ts";
import { conv2d, conv2dOp } from "./ops/convolution.ts";
import { mul } from "./ops/elementwise.ts";
import { reduceSum, slice } from "./ops/layout.ts";
import { upsample } from "./ops/resample.ts";
import { input } from "./ops/source.ts";
import { inOrder, type Rule, rewriteNamed } from "./rewrite.ts";
import { splitUpsampling } from "./split-upsampling.ts";
import { is, type Tensor } from "./tensor.ts";

const shapes = { x: [16, 16, 3, 4], w: [32, 16, 3, 3], b: [32] };
const [x, w, b] = (["x", "w", "b"] as const).map((name) => input(name, shapes[name])) as [Tensor, Tensor, Tensor];

/** An upsampling that is cut to the size of another picture, a convolution, and the gradients. */
function outputs(bias: Tensor | undefined, size: number, rule: Rule): Record<string, Tensor> {
  const cut = slice(slice(upsample(x, 2), 2, 0, size), 3, 0, 8);
  const convolved = conv2d(cut, w, bias, { stride: 1, pads: [1, 1, 1, 1] });
  const { y } = rewriteNamed({ y: convolved }, rule);
  const wrt = [x, w, ...(bias === undefined ? [] : [bias])];
  return { y, ...Object.fromEntries(grad(reduceSum(mul(y, y)), wrt).map((g, i) => [`grad:${"xwb"[i]}`, g])) };
}
const kernels = (of: Readonly<Record<string, Tensor>>): string[] =>
  inOrder(Object.values(of)).flatMap((t) => (is(t, conv2dOp) ? [t.inputs[1]!.shape.slice(2).join("x")] : []));

test.each([
  ["with a bias", b],
  ["without one", undefined],
] as const)("an upsampling and its convolution %s become four small ones with the same gradients", async (_, bias) => {
  const [split, whole] = [outputs(bias, 6, splitUpsampling), outputs(bias, 6, () => undefined)];
  expect(kernels(split)).toEqual(Array(4).fill("2x2"));
  expect(kernels(whole)).toEqual(["3x3"]);
  const feeds = Object.fromEntries(
    Object.entries(shapes)
      .filter(([name]) => name !== "b" || bias !== undefined)
      .map(([name, dims], i) => [name, randomArray(i + 1, ...dims)]),
  );
  const block = await channelBlock();
  const runtimes = [ortRuntime({ threads: 1 }), ortRuntime({ threads: 1, block })] as const;
  try {
    const expected = await (await runtimes[0].load(whole)).run(feeds);
    for (const runtime of runtimes) {
      const got = await (await runtime.load(split)).run(feeds);
      for (const [name, { data }] of Object.entries(expected))
        expect(got[name]!.data).toMatchGolden(data as Float32Array, 1e-5, { relative: true });
    }
  } finally {
    await Promise.all(runtimes.map((runtime) => runtime.close()));
  }
});

test("an upsampling of which a row is cut off stays as it is", () => {
  expect(kernels(outputs(b, 5, splitUpsampling))).toEqual(["3x3"]);
});
