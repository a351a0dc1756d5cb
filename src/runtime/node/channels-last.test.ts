import { expect, test } from "vitest";
import { floats } from "../../core/array.ts";
import { gaussians } from "../../core/random/gaussians.ts";
import { seededRandom } from "../../core/random/seeded-random.ts";
import { channelsLast } from "../../graph/channels-last.ts";
import { Checkpoint } from "../../graph/checkpoint.ts";
import { namedDim } from "../../graph/dim.ts";
import { silu } from "../../graph/ops/activation.ts";
import { channelsLastOf, toChannelsFirst, toChannelsLast } from "../../graph/ops/channels.ts";
import { conv2dOp } from "../../graph/ops/convolution.ts";
import { add } from "../../graph/ops/elementwise.ts";
import { concat, permuteOp, reshape } from "../../graph/ops/layout.ts";
import { groupNormOp } from "../../graph/ops/normalise.ts";
import { input } from "../../graph/ops/source.ts";
import { inOrder, rewriteNamed } from "../../graph/rewrite.ts";
import { is, type Tensor } from "../../graph/tensor.ts";
import { Weights } from "../../graph/weights.ts";
import { conv2d, groupNorm } from "../../nn/layers.ts";
import { randomArray } from "../../testing/random-array.ts";
import type { TensorEntry } from "../../weights/index.ts";
import { ortRuntime } from "./ort-runtime.ts";

const [B, C, OUT, H, W] = [2, 12, 8, 5, 7];
const random = seededRandom(1);
const entry = (name: string, ...shape: number[]): [string, TensorEntry] => {
  const values = gaussians(
    random,
    shape.reduce((a, b) => a * b),
  );
  return [name, { name, dtype: "F32", shape, source: { kind: "bytes", bytes: new Uint8Array(values.buffer) } }];
};
const weights = new Weights(
  new Checkpoint(
    new Map([entry("norm.weight", C), entry("norm.bias", C), entry("skip.weight", OUT, C, 1, 1), entry("skip.bias", OUT)]),
    "test",
  ),
);

/** The operations between a residual block's convolutions, on a transposed picture and one that is not transposed. */
function graph(): { readonly y: Tensor; readonly back: Tensor } {
  const [b, h, w] = ["b", "h", "w"].map(namedDim);
  const x = toChannelsFirst(input("x", [b!, h!, w!, C]));
  const normal = silu(groupNorm(x, weights.at("norm"), { groups: 3, eps: 1e-6 }));
  const y = conv2d(add(normal, input("other", [b!, C, h!, w!])), weights.at("skip"), { out: OUT, kernel: 1 });
  return { y, back: toChannelsLast(add(y, y)) };
}

/** Other operations of the UNet: a shift for every pixel, concatenated pictures, and pixels as rows and back. */
function further(): Record<"y", Tensor> {
  const [b, h, w] = ["b", "h", "w"].map(namedDim);
  const shifted = add(toChannelsFirst(input("x", [b!, h!, w!, C])), reshape(input("shift", [b!, C]), [b!, C, 1, 1]));
  const joined = concat([shifted, input("other", [b!, C, h!, w!])], 1);
  const rows = silu(reshape(toChannelsLast(joined), [b!, -1, 2 * C]));
  return { y: add(joined, toChannelsFirst(reshape(rows, [b!, h!, w!, 2 * C]))) };
}

test("norm, activation, sum and 1x1 convolution give the same result channels last, and are transposed only at the end", async () => {
  const outputs = graph();
  const turned = rewriteNamed(outputs, channelsLast);
  expect(channelsLastOf(turned.y)).toBeDefined();
  expect(turned.y.shape).toEqual(outputs.y.shape);
  const found = inOrder(Object.values(turned));
  expect(found.filter((t) => is(t, groupNormOp) || is(t, conv2dOp))).toEqual([]);
  // the transposes of the other picture and of the result
  expect(found.filter((t) => is(t, permuteOp))).toHaveLength(2);
  const runtime = ortRuntime({ threads: 1 });
  try {
    // far from zero, where the variance as a difference of two means is least accurate
    const x = floats(
      gaussians(seededRandom(2), B * C * H * W).map((v) => v + 20),
      ...[B, H, W, C],
    );
    const other = randomArray(3, B, C, H, W);
    const [expected, y] = [
      await (await runtime.load(outputs)).run({ x, other }),
      await (await runtime.load(turned)).run({ x, other }),
    ];
    for (const name of ["y", "back"] as const)
      expect(y[name].data as Float32Array).toMatchGolden(expected[name].data as Float32Array, 2e-3);
  } finally {
    await runtime.close();
  }
});

test("shifts, concatenation and pixels as rows give the same result channels last, and are transposed only at the end", async () => {
  const outputs = further();
  const turned = rewriteNamed(outputs, channelsLast);
  expect(channelsLastOf(turned.y)).toBeDefined();
  // the transposes of the other picture and of the result
  expect(inOrder([turned.y]).filter((t) => is(t, permuteOp))).toHaveLength(2);
  const runtime = ortRuntime({ threads: 1 });
  try {
    const feeds = { x: randomArray(4, B, H, W, C), other: randomArray(5, B, C, H, W), shift: randomArray(6, B, C) };
    const [expected, y] = [await (await runtime.load(outputs)).run(feeds), await (await runtime.load(turned)).run(feeds)];
    expect(y.y).toEqual(expected.y);
  } finally {
    await runtime.close();
  }
});

test("the norm of a constant picture is its shift", async () => {
  const x = toChannelsFirst(input("x", [1, 4, 4, C]));
  const y = rewriteNamed({ y: groupNorm(x, weights.at("norm"), { groups: 3, eps: 1e-6 }) }, channelsLast);
  const runtime = ortRuntime({ threads: 1 });
  try {
    const result = await (await runtime.load(y)).run({ x: floats(new Float32Array(16 * C).fill(1000), 1, 4, 4, C) });
    expect((result.y.data as Float32Array).every(Number.isFinite)).toBe(true);
  } finally {
    await runtime.close();
  }
});
