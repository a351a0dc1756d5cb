import { afterAll, expect, test } from "vitest";
import { floats, integers } from "../../core/array.ts";
import { grad } from "../../graph/grad.ts";
import { gelu, hardSwish, prelu, quickGelu, silu } from "../../graph/ops/activation.ts";
import { attention } from "../../graph/ops/attention.ts";
import { conv2d } from "../../graph/ops/convolution.ts";
import { depthwiseConv } from "../../graph/ops/depthwise.ts";
import { abs, add, cos, div, erf, exp, log, mul, neg, relu, sigmoid, sin, sqrt, sub, tanh } from "../../graph/ops/elementwise.ts";
import { everyNth } from "../../graph/ops/every-nth.ts";
import { gather, takeRows } from "../../graph/ops/gather.ts";
import { broadcastTo, concat, pad, permute, reduceSum, reshape, slice } from "../../graph/ops/layout.ts";
import { linear, matmul } from "../../graph/ops/matrix.ts";
import { maxPool } from "../../graph/ops/max-pool.ts";
import { groupNorm, layerNorm, logSoftmax, softmax } from "../../graph/ops/normalise.ts";
import { reduceMean } from "../../graph/ops/reduce.ts";
import { averagePool, depthToSpace, spaceToDepth, upsample, upsampleBilinear } from "../../graph/ops/resample.ts";
import { constant, input } from "../../graph/ops/source.ts";
import type { Tensor } from "../../graph/tensor.ts";
import { compareWithDifferences, scattered } from "../../testing/finite-differences.ts";
import { ortRuntime } from "./ort-runtime.ts";

const runtime = ortRuntime({ threads: 1 });
afterAll(() => runtime.close());

const product = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);
const conv = (stride: number, pads: readonly [number, number, number, number]) => (x: Tensor, w: Tensor, b: Tensor) =>
  conv2d(x, w, b, { stride, pads });
const depthwise = (stride: number, pads: readonly [number, number, number, number]) => (x: Tensor, w: Tensor, b: Tensor) =>
  depthwiseConv(x, w, b, { stride, pads });
/** Inputs of which no two are nearly equal, so that the largest stays the largest. */
function apart(x: Tensor): Tensor {
  const dims = x.shape as number[];
  const count = product(dims);
  return add(
    mul(x, 0.1),
    constant(
      Array.from({ length: count }, (_, i) => (i * 7) % count),
      dims,
    ),
  );
}
const attend = (causal: boolean) => (q: Tensor, k: Tensor, v: Tensor) => attention(q, k, v, { heads: 2, causal });
/** Inputs away from points where the slope jumps, at which logarithm and root are smooth. */
const positive = (x: Tensor): Tensor => add(mul(x, 0.4), 1);

const cases: Record<string, [(...inputs: Tensor[]) => Tensor, ...(readonly number[])[]]> = {
  add: [add, [2, 3], [3]],
  sub: [sub, [2, 1], [2, 3]],
  mul: [mul, [2, 3], [2, 1]],
  "mul of a tensor with itself": [(x) => mul(x, x), [2, 3]],
  div: [(a, b) => div(a, positive(b)), [2, 3], [1, 3]],
  "div of a number": [(x) => div(2, positive(x)), [4]],
  neg: [neg, [4]],
  sigmoid: [sigmoid, [4]],
  tanh: [tanh, [4]],
  erf: [erf, [4]],
  sin: [sin, [4]],
  cos: [cos, [4]],
  exp: [exp, [4]],
  log: [(x) => log(positive(x)), [4]],
  sqrt: [(x) => sqrt(positive(x)), [4]],
  abs: [(x) => abs(add(mul(x, 0.1), constant([1, -1, 2, -2], [4]))), [4]],
  relu: [(x) => relu(add(mul(x, 0.1), constant([1, -1, 2, -2], [4]))), [4]],
  silu: [(x) => silu(mul(x, 3)), [8]],
  gelu: [(x) => gelu(mul(x, 2)), [8]],
  quickGelu: [(x) => quickGelu(mul(x, 2)), [8]],
  "reduceSum of two axes": [(x) => reduceSum(x, [0, 2]), [2, 3, 2]],
  "reduceSum, axis kept": [(x) => reduceSum(x, [1], true), [2, 3, 2]],
  reduceMean: [(x) => reduceMean(x, [-1, 0]), [2, 3, 2]],
  "reduceMean of all": [(x) => reduceMean(mul(x, x)), [2, 3]],
  reshape: [(x) => reshape(x, [3, 2]), [2, 3]],
  permute: [(x) => permute(x, [2, 0, 1]), [2, 3, 4]],
  concat: [(a, b) => concat([a, b, a], 1), [2, 3], [2, 2]],
  slice: [(x) => slice(x, 1, 1, 2), [2, 4]],
  "slices that overlap": [(x) => add(slice(x, 1, 0, 3), slice(x, 1, 1, 3)), [2, 4]],
  "slices side by side": [(x) => mul(slice(x, -1, 2, 2), sigmoid(slice(x, -1, 0, 2))), [2, 4]],
  pad: [(x) => pad(x, 1, 2, 6), [2, 3]],
  broadcastTo: [(x) => broadcastTo(x, [2, 3, 4]), [3, 1]],
  upsample: [(x) => upsample(x, 2), [1, 2, 2, 3]],
  averagePool: [(x) => averagePool(x, 2), [1, 2, 4, 6]],
  spaceToDepth: [(x) => spaceToDepth(x, 2), [2, 2, 4, 6]],
  depthToSpace: [(x) => depthToSpace(x, 2), [2, 8, 2, 3]],
  linear: [linear, [2, 3, 4], [5, 4], [5]],
  "linear without bias": [linear, [3, 4], [5, 4]],
  matmul: [(a, b) => matmul(a, b), [2, 3, 4], [2, 4, 2]],
  "matmul of many by one": [(a, b) => matmul(a, b), [2, 3, 4], [4, 2]],
  "matmul, first transposed": [(a, b) => matmul(a, b, { transA: true, scale: 0.5 }), [2, 4, 3], [2, 4, 2]],
  "matmul, second transposed": [(a, b) => matmul(a, b, { transB: true, scale: 2 }), [2, 3, 4], [2, 2, 4]],
  "matmul, both transposed": [(a, b) => matmul(a, b, { transA: true, transB: true }), [4, 3], [2, 4]],
  "conv 3x3": [conv(1, [1, 1, 1, 1]), [2, 2, 3, 4], [3, 2, 3, 3], [3]],
  "conv 3x3 without padding": [conv(1, [0, 0, 0, 0]), [1, 2, 4, 5], [3, 2, 3, 3], [3]],
  "conv 3x3 to fewer channels": [conv(1, [1, 1, 1, 1]), [2, 3, 3, 4], [2, 3, 3, 3], [2]],
  "conv 3x2 to fewer channels, padded on one side": [conv(1, [0, 1, 2, 0]), [2, 3, 3, 4], [2, 3, 3, 2], [2]],
  "conv 3x3 stride 2": [conv(2, [1, 1, 1, 1]), [2, 2, 4, 6], [3, 2, 3, 3], [3]],
  "conv 3x3 stride 2 of odd sizes": [conv(2, [1, 1, 1, 1]), [1, 2, 5, 3], [3, 2, 3, 3], [3]],
  "conv 3x3 stride 2, padded below and right": [conv(2, [0, 0, 1, 1]), [1, 2, 4, 6], [3, 2, 3, 3], [3]],
  "depthwise conv 3x3": [depthwise(1, [1, 1, 1, 1]), [2, 3, 3, 4], [3, 1, 3, 3], [3]],
  "depthwise conv 3x3 stride 2, padded below and right": [depthwise(2, [0, 0, 1, 1]), [1, 2, 4, 6], [2, 1, 3, 3], [2]],
  "depthwise conv 5x3 stride 2 of odd sizes": [depthwise(2, [2, 1, 2, 1]), [1, 2, 5, 3], [2, 1, 5, 3], [2]],
  "every third": [(x) => everyNth(x, 1, 3), [2, 8]],
  "every second of an even size": [(x) => everyNth(x, 0, 2), [4, 2]],
  maxPool: [(x) => maxPool(apart(x), 2), [1, 2, 4, 6]],
  "maxPool of windows that overlap": [(x) => maxPool(apart(x), 3, 2), [1, 2, 6, 5]],
  upsampleBilinear: [(x) => upsampleBilinear(x, 2), [1, 2, 3, 2]],
  prelu: [(x, slope) => prelu(add(mul(x, 0.1), constant([1, -1, 2, -2], [4])), slope), [4], [1]],
  hardSwish: [(x) => hardSwish(add(mul(x, 0.1), constant([1, -1, 4, -4], [4]))), [4]],
  "conv 1x1": [conv(1, [0, 0, 0, 0]), [2, 2, 3, 2], [3, 2, 1, 1], [3]],
  "conv of patches": [conv(2, [0, 0, 0, 0]), [2, 3, 4, 6], [3, 3, 2, 2], [3]],
  softmax: [(x) => softmax(mul(x, 2)), [2, 4]],
  logSoftmax: [(x) => logSoftmax(mul(x, 2)), [2, 4]],
  layerNorm: [(x, w, b) => layerNorm(x, w, b, 1e-2), [2, 3, 4], [4], [4]],
  groupNorm: [(x, w, b) => groupNorm(x, w, b, 2, 1e-2), [2, 4, 2, 3], [4], [4]],
  "attention to other tokens": [attend(false), [2, 3, 4], [2, 5, 4], [2, 5, 4]],
  "attention of a tensor to itself": [(x) => attend(false)(x, x, x), [2, 3, 4]],
  "causal attention": [attend(true), [2, 3, 4], [2, 3, 4], [2, 3, 4]],
};

test.each(Object.entries(cases))("the gradient of %s equals finite differences", async (_, [f, ...shapes]) => {
  const values = shapes.map((dims, i) => floats(scattered(product(dims), i + 1), ...dims));
  expect(await compareWithDifferences(runtime, f, values)).toMatchObject({ pass: true });
});

test.each([5, 2000])("the gradient of gather adds up equal ids in a table of %s rows", async (rows) => {
  const ids = [
    [1, 3, 1],
    [0, 3, 3],
  ].flat(); // written as rows
  const table = input("table", [rows, 2]);
  const dy = input("dy", [2, 3, 2]);
  const y = gather(table, input("ids", [2, 3], "i64"));
  const [dx] = grad(reduceSum(mul(y, dy)), [table]);
  const session = await runtime.load({ dx: dx! });
  const values = scattered(12);
  const out = await session.run({ dy: floats(values, 2, 3, 2), ids: integers(ids, 2, 3) });
  const expected = new Float32Array(rows * 2);
  ids.forEach((id, i) => {
    for (const c of [0, 1]) expected[id * 2 + c] = expected[id * 2 + c]! + values[i * 2 + c]!;
  });
  expect(out.dx.data as Float32Array).toMatchGolden(expected, 1e-6);
});

test("the gradient of takeRows goes to the row taken", async () => {
  const fixed = { at: integers([2, 0], 2) };
  const f = (x: Tensor): Tensor => takeRows(x, input("at", [2], "i64"));
  const result = await compareWithDifferences(runtime, f, [floats(scattered(12), 2, 3, 2)], { fixed });
  expect(result).toMatchObject({ pass: true });
});
