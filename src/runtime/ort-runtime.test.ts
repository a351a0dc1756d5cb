import { afterAll, expect, test } from "vitest";
import { floats, integers } from "../core/array.ts";
import { namedDim } from "../graph/dim.ts";
import { gelu, quickGelu, silu } from "../graph/ops/activation.ts";
import { attention } from "../graph/ops/attention.ts";
import { conv2d } from "../graph/ops/convolution.ts";
import { add, mul } from "../graph/ops/elementwise.ts";
import { gather, takeRows } from "../graph/ops/gather.ts";
import { broadcastTo, concat, permute, reshape, slice } from "../graph/ops/layout.ts";
import { linear, matmul } from "../graph/ops/matrix.ts";
import { groupNorm, layerNorm } from "../graph/ops/normalise.ts";
import { upsample } from "../graph/ops/resample.ts";
import { constant, input } from "../graph/ops/source.ts";
import { ortRuntime } from "./ort-runtime.ts";

const runtime = ortRuntime();
afterAll(() => runtime.close());
const [b, h, w, s] = ["b", "h", "w", "s"].map(namedDim) as [never, never, never, never];
const ramp = (n: number, step = 0.1): Float32Array => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 7) * step * 10);

test("one loaded graph serves every size", async () => {
  const x = input("x", [b, 4, h, w]);
  const tokens = permute(reshape(x, [b, 4, -1]), [0, 2, 1]);
  const back = reshape(permute(tokens, [0, 2, 1]), [b, 4, h, w]);
  const half = conv2d(back, constant([1, 0, 0, 0], [1, 4, 1, 1]), undefined, { stride: 2, pads: [0, 0, 0, 0] });
  const wide = slice(slice(upsample(half, 2), 2, 0, h), 3, 0, w);
  const session = await runtime.load({ tokens, back, wide });
  for (const [B, H, W] of [
    [1, 3, 5],
    [2, 4, 4],
    [1, 9, 2],
  ] as const) {
    const data = ramp(B * 4 * H * W);
    const out = await session.run({ x: floats(data, B, 4, H, W) });
    expect(out.tokens.dims).toEqual([B, H * W, 4]);
    expect(out.back.data).toEqual(data);
    expect(out.wide.dims).toEqual([B, 1, H, W]);
    const at = (i: number, j: number): number => data[(i - (i % 2)) * W + (j - (j % 2))]!;
    expect(Array.from(out.wide.data as Float32Array).slice(0, H * W)).toEqual(
      Array.from({ length: H * W }, (_, k) => at(Math.floor(k / W), k % W)),
    );
  }
  await session.close();
});

test("groupNorm normalises each group and scales each channel", async () => {
  const x = input("x", [b, 4, h, w]);
  const y = groupNorm(x, constant([1, 2, 3, 4], [4]), constant([0, 0, 1, 1], [4]), 2, 1e-5);
  const session = await runtime.load({ y });
  const data = ramp(2 * 4 * 6);
  const { y: out } = await session.run({ x: floats(data, 2, 4, 2, 3) });
  const expected = data.map((v, i) => {
    const group = Math.floor(i / 12);
    const values = data.slice(group * 12, group * 12 + 12);
    const mean = values.reduce((a, c) => a + c, 0) / 12;
    const variance = values.reduce((a, c) => a + (c - mean) ** 2, 0) / 12;
    const channel = Math.floor(i / 6) % 4;
    return ((v - mean) / Math.sqrt(variance + 1e-5)) * (channel + 1) + (channel > 1 ? 1 : 0);
  });
  expect(out.data as Float32Array).toMatchGolden(expected, 1e-5);
});

test.each([false, true])("attention equals its definition (causal: %s)", async (causal) => {
  const [B, S, T, D, H] = [2, 5, causal ? 5 : 7, 6, 2];
  const y = attention(input("q", [b, s, D]), input("k", [b, namedDim("t"), D]), input("v", [b, namedDim("t"), D]), {
    heads: H,
    causal,
  });
  const session = await runtime.load({ y });
  const [q, k, v] = [ramp(B * S * D), ramp(B * T * D, 0.2), ramp(B * T * D, 0.3)];
  const { y: out } = await session.run({ q: floats(q, B, S, D), k: floats(k, B, T, D), v: floats(v, B, T, D) });
  const d = D / H;
  const expected = new Float32Array(B * S * D);
  for (let n = 0; n < B; n++)
    for (let head = 0; head < H; head++)
      for (let i = 0; i < S; i++) {
        const row = (x: Float32Array, len: number, at: number) =>
          x.subarray((n * len + at) * D + head * d, (n * len + at) * D + head * d + d);
        const seen = causal ? i + 1 : T;
        const scores = Array.from({ length: seen }, (_, j) =>
          Math.exp(row(q, S, i).reduce((a, x, c) => a + x * row(k, T, j)[c]!, 0) / Math.sqrt(d)),
        );
        const sum = scores.reduce((a, c) => a + c, 0);
        for (const [j, score] of scores.entries())
          for (const [c, x] of row(v, T, j).entries()) {
            const at = (n * S + i) * D + head * d + c;
            expected[at] = expected[at]! + (x * score) / sum;
          }
      }
  expect(out.data as Float32Array).toMatchGolden(expected, 1e-5);
});

test("linear, activations, gathering and norms equal their definitions", async () => {
  const x = input("x", [b, s, 3]);
  const y = linear(x, constant([1, 2, 3, -1, 0, 1], [2, 3]), constant([0.5, -0.5], [2]));
  const table = constant([0, 1, 10, 11, 20, 21], [3, 2]);
  const rows = gather(table, input("ids", [b, s], "i64"));
  const session = await runtime.load({
    y,
    rows,
    picked: takeRows(rows, input("at", [b], "i64")),
    silu: silu(y),
    gelu: gelu(y),
    quick: quickGelu(y),
    norm: layerNorm(x, constant([1, 1, 2], [3]), constant([0, 0, 1], [3]), 1e-5),
    joined: concat([broadcastTo(constant([5, 6], [2]), [b, 1, 2]), mul(add(y, 1), 2)], 1),
  });
  const data = ramp(2 * 2 * 3);
  const out = await session.run({ x: floats(data, 2, 2, 3), ids: integers([2, 0, 1, 1], 2, 2), at: integers([0, 1], 2) });
  const lin: number[] = [];
  for (let i = 0; i < 4; i++) {
    const [p, q, r] = data.subarray(i * 3, i * 3 + 3) as unknown as [number, number, number];
    lin.push(p + 2 * q + 3 * r + 0.5, r - p - 0.5);
  }
  expect(out.y.data as Float32Array).toMatchGolden(lin, 1e-5);
  expect([...out.rows.data]).toEqual([20, 21, 0, 1, 10, 11, 10, 11]);
  expect([...out.picked.data]).toEqual([20, 21, 10, 11]);
  const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));
  expect(out.silu.data as Float32Array).toMatchGolden(
    lin.map((v) => v * sigmoid(v)),
    1e-5,
  );
  expect(out.quick.data as Float32Array).toMatchGolden(
    lin.map((v) => v * sigmoid(1.702 * v)),
    1e-5,
  );
  expect(out.joined.data as Float32Array).toMatchGolden(
    [5, 6, ...lin.slice(0, 4).map((v) => (v + 1) * 2), 5, 6, ...lin.slice(4).map((v) => (v + 1) * 2)],
    1e-5,
  );
  const first = [...data.slice(0, 3)];
  const mean = first.reduce((a, c) => a + c, 0) / 3;
  const deviation = Math.sqrt(first.reduce((a, c) => a + (c - mean) ** 2, 0) / 3 + 1e-5);
  expect((out.norm.data as Float32Array).slice(0, 3)).toMatchGolden(
    first.map((v, i) => ((v - mean) / deviation) * (i === 2 ? 2 : 1) + (i === 2 ? 1 : 0)),
    1e-5,
  );
});

test("closing while a model runs waits for it; what is asked afterwards is refused", async () => {
  const other = ortRuntime();
  const side = 1500; // long enough to be inside ONNX Runtime when it is closed
  const matrix = input("x", [side, side]);
  const session = await other.load({ y: matmul(matrix, matrix) });
  const x = floats(new Float32Array(side * side).fill(1), side, side);
  const run = session.run({ x });
  setTimeout(() => void other.close(), 20);
  expect((await run).y.data[0]).toBe(side);
  await expect(session.run({ x })).rejects.toThrow("the runtime was closed");
});

test("a run on a closed session says so", async () => {
  const session = await runtime.load({ y: add(input("x", [b]), 1) });
  await session.close();
  await expect(session.run({ x: floats(ramp(2), 2) })).rejects.toThrow("released");
});
