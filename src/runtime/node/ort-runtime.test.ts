import { execFileSync } from "node:child_process";
import { afterAll, describe, expect, test } from "vitest";
import { floats, integers } from "../../core/array.ts";
import { gaussians } from "../../core/random/gaussians.ts";
import { seededRandom } from "../../core/random/seeded-random.ts";
import { mulDims, namedDim } from "../../graph/dim.ts";
import { gelu, quickGelu, silu } from "../../graph/ops/activation.ts";
import { attention, attentionOp, biasedAttention } from "../../graph/ops/attention.ts";
import { averageWindow } from "../../graph/ops/average-window.ts";
import { conv2d } from "../../graph/ops/convolution.ts";
import { add, mul } from "../../graph/ops/elementwise.ts";
import { gather, takeRows } from "../../graph/ops/gather.ts";
import { broadcastTo, concat, permute, reshape, slice } from "../../graph/ops/layout.ts";
import { linear } from "../../graph/ops/matrix.ts";
import { groupNorm, layerNorm } from "../../graph/ops/normalise.ts";
import { quantisedAttention, quantisedConv, quantisedLinear } from "../../graph/ops/quantised.ts";
import { upsample } from "../../graph/ops/resample.ts";
import { constant, input } from "../../graph/ops/source.ts";
import { splitUpsampling } from "../../graph/split-upsampling.ts";
import type { Tensor } from "../../graph/tensor.ts";
import { decibels } from "../../testing/decibels.ts";
import { weightRanges } from "../../testing/weight-ranges.ts";
import type { TensorEntry } from "../../weights/index.ts";
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

test("averageWindow is the mean of the pixels around that there are", async () => {
  const session = await runtime.load({ y: averageWindow(input("x", [b, 1, h, w]), 3) });
  const { y } = await session.run({ x: floats(Float32Array.of(1, 2, 3, 4, 5, 6), 1, 1, 2, 3) });
  expect(y.data as Float32Array).toMatchGolden([3, 3.5, 4, 3, 3.5, 4], 1e-6);
  expect(() => averageWindow(input("x", [b, 1, h, w]), 2)).toThrow("has no middle");
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

test("attention with a bias equals its definition, for all heads alike or each its own, and a mask hides keys", async () => {
  const [B, S, T, D, heads] = [2, 5, 7, 6, 2];
  const tokens = namedDim("t");
  const [q, k, v] = [input("q", [b, s, D]), input("k", [b, tokens, D]), input("v", [b, tokens, D])];
  const [one, each] = [input("one", [1, 1, s, tokens]), input("each", [b, heads, s, tokens])];
  const attrs = { heads, causal: false };
  const plain = attention(q, k, v, attrs);
  const [alike, own] = [biasedAttention(q, k, v, one, attrs), biasedAttention(q, k, v, each, attrs)];
  const defined = (y: Tensor): Tensor => attentionOp.expand!(y.inputs, attrs);
  const session = await runtime.load({ plain, alike, own, alikeDefined: defined(alike), ownDefined: defined(own) });
  const feeds = {
    ...{
      q: floats(ramp(B * S * D), B, S, D),
      k: floats(ramp(B * T * D, 0.2), B, T, D),
      v: floats(ramp(B * T * D, 0.3), B, T, D),
    },
    ...{ one: floats(ramp(S * T, 0.3), 1, 1, S, T), each: floats(ramp(B * heads * S * T, 0.3), B, heads, S, T) },
  };
  const y = await session.run(feeds);
  expect(y.alike.data as Float32Array).toMatchGolden(y.alikeDefined.data as Float32Array, 1e-5);
  expect(y.own.data as Float32Array).toMatchGolden(y.ownDefined.data as Float32Array, 1e-5);
  expect(y.own.data).not.toEqual(y.plain.data);
  const last = (i: number): boolean => i % T === T - 1;
  const hidden = floats(
    Float32Array.from({ length: S * T }, (_, i) => (last(i) ? -10000 : 0)),
    1,
    1,
    S,
    T,
  );
  const changed = floats(
    feeds.v.data.map((x, i) => (Math.floor(i / D) % T === T - 1 ? 99 : x)),
    B,
    T,
    D,
  );
  const [masked, other] = [
    await session.run({ ...feeds, one: hidden }),
    await session.run({ ...feeds, one: hidden, v: changed }),
  ];
  expect(other.alike.data).toEqual(masked.alike.data); // the hidden key's value is not seen
  expect(other.plain.data).not.toEqual(masked.plain.data);
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

test("a run on a closed session throws", async () => {
  const session = await runtime.load({ y: add(input("x", [b]), 1) });
  await session.close();
  await expect(session.run({ x: floats(ramp(2), 2) })).rejects.toThrow("released");
});

const doubled = () => ({ y: mul(input("x", [b]), 2) });

test.each([
  ["SIGKILL", "runtime/killed"],
  ["SIGUSR2", "runtime/ended"],
])("if a process ends by %s, the current run fails, and the next run loads the model in a new process", async (signal, code) => {
  const own = ortRuntime();
  const session = await own.load(doubled());
  const x = floats(ramp(3), 3);
  const children = (): string[] =>
    execFileSync("ps", ["-o", "pid=,args=", "--ppid", `${process.pid}`], { encoding: "utf8" })
      .split("\n")
      .filter((line) => line.includes("ort-process.js"));
  const before = new Set(children());
  const running = Promise.all(Array.from({ length: 50 }, () => session.run({ x })));
  for (const line of before) process.kill(Number.parseInt(line, 10), signal);
  await expect(running).rejects.toMatchObject({ code });
  expect((await session.run({ x })).y.data).toEqual(x.data.map((v: number) => v * 2));
  await own.close();
});

test("closing the runtime fails a current run at once", async () => {
  const own = ortRuntime();
  const session = await own.load(doubled());
  const running = session.run({ x: floats(new Float32Array(5e6), 5e6) });
  await Promise.all([expect(running).rejects.toThrow("the runtime was closed"), own.close()]);
  await expect(session.run({ x: floats(ramp(1), 1) })).rejects.toThrow("the runtime was closed");
  await own.close();
});

test("an error of the model names its cause, and the process continues", async () => {
  const session = await runtime.load(doubled());
  await expect(session.run({})).rejects.toThrow("x");
  expect(runtime.peakMemory()).toBeGreaterThan(10e6);
  await session.close();
  await expect(session.run({ x: floats(ramp(1), 1) })).rejects.toThrow("the session was released");
});

describe("8 bits", () => {
  const random = seededRandom(5);
  const normal = (n: number): Float32Array => gaussians(random, n);
  const bytesOf = (values: Int8Array | Float32Array): TensorEntry["source"] => ({
    kind: "bytes",
    bytes: new Uint8Array(values.buffer),
  });
  const anyWeights = weightRanges.includes("full");
  /** Rounds w [out, in] as preparing does, except for the order of rows, to the range that is correct on this processor. */
  function rounded(w: Float32Array, out: number, place: (i: number) => number = (i) => i) {
    const into = w.length / out;
    const [values, scales] = [new Int8Array(w.length), new Float32Array(out)];
    for (let o = 0; o < out; o++) {
      const row = w.subarray(o * into, (o + 1) * into);
      scales[o] = row.reduce((most, v) => Math.max(most, Math.abs(v)), 0) / (anyWeights ? 127 : 64);
      for (const [i, v] of row.entries()) values[place(i) * out + o] = Math.round(v / scales[o]!);
    }
    return {
      weight: { path: "w", entry: { name: "w", dtype: "I8", shape: [into, out], source: bytesOf(values) } },
      scales: { path: "s", entry: { name: "s", dtype: "F32", shape: [out], source: bytesOf(scales) } },
    } as const;
  }

  test("a linear layer is close to float32, also where ranges of rows differ by a factor of a thousand, and a row of zeros stays zero", async () => {
    const [out, into] = [24, 64];
    const w = normal(out * into);
    const x = normal(6 * into).map((v, i) => v * 10 ** (Math.floor(i / into) - 3) * (i < into ? 0 : 1));
    const [xs, ws] = [input("x", [b, s, into]), input("w", [out, into])];
    const bias = constant(Array.from(normal(out)), [out]);
    const session = await runtime.load({ exact: linear(xs, ws), found: quantisedLinear(xs, rounded(w, out)) });
    const y = await session.run({ x: floats(x, 2, 3, into), w: floats(w, out, into) });
    expect(y.found.dims).toEqual([2, 3, out]);
    for (let row = 1; row < 6; row++) {
      const part = (values: unknown) => (values as Float32Array).subarray(row * out, (row + 1) * out);
      expect(decibels(part(y.exact.data), part(y.found.data))).toBeGreaterThan(anyWeights ? 36 : 32);
    }
    expect(Array.from((y.found.data as Float32Array).subarray(0, out))).toEqual(Array(out).fill(0));
    const biased = await runtime.load({
      a: quantisedLinear(xs, rounded(w, out), bias),
      b: add(quantisedLinear(xs, rounded(w, out)), bias),
    });
    const both = await biased.run({ x: floats(x, 2, 3, into) });
    expect(both.a.data).toEqual(both.b.data);
  });

  test("a linear layer with a shared range is close to float32 where rows are alike", async () => {
    const [out, into] = [24, 64];
    const [w, x] = [normal(out * into), normal(6 * into)];
    const [xs, ws] = [input("x", [b, s, into]), input("w", [out, into])];
    const bias = constant(Array.from(normal(out)), [out]);
    const session = await runtime.load({
      exact: linear(xs, ws, bias),
      found: quantisedLinear(xs, rounded(w, out), bias, "shared"),
    });
    const y = await session.run({ x: floats(x, 2, 3, into), w: floats(w, out, into) });
    expect(y.found.dims).toEqual([2, 3, out]);
    expect(decibels(y.exact.data as Float32Array, y.found.data as Float32Array)).toBeGreaterThan(anyWeights ? 35 : 31);
  });

  test.each([
    [3, 1, 1],
    [3, 2, 1],
    [1, 1, 0],
    [3, 1, 0],
  ])("a convolution of %dx%1$d, stride %d, is close to float32", async (kernel, stride, pad) => {
    const [out, channels, places] = [16, 8, kernel ** 2];
    const weights = normal(out * channels * places);
    const values = normal(2 * channels * 9 * 7).map((v) => v + 0.5);
    const x = input("x", [b, channels, h, w]);
    const attrs = { stride, pads: [pad, pad, pad, pad] } as const;
    const bias = constant(Array.from(normal(out)), [out]);
    const q = rounded(weights, out, (i) => (i % places) * channels + Math.floor(i / places));
    const session = await runtime.load({
      exact: conv2d(x, input("w", [out, channels, kernel, kernel]), bias, attrs),
      found: quantisedConv(x, { ...q, ...attrs, kernel }, bias),
    });
    const y = await session.run({ x: floats(values, 2, channels, 9, 7), w: floats(weights, out, channels, kernel, kernel) });
    expect(y.found.dims).toEqual(y.exact.dims);
    expect(decibels(y.exact.data as Float32Array, y.found.data as Float32Array)).toBeGreaterThan(anyWeights ? 34 : 30);
  });

  test("a convolution whose height is known to be divisible is computed in strips, with the same bits", async () => {
    const [out, channels] = [16, 8];
    const [weights, values] = [normal(out * channels * 9), normal(channels * 16 * 5)];
    const q = rounded(weights, out, (i) => (i % 9) * channels + Math.floor(i / 9));
    const attrs = { ...q, stride: 1, pads: [1, 1, 1, 1], kernel: 3 } as const;
    const [whole, half] = [input("x", [b, channels, h, w]), input("tall", [b, channels, mulDims(s, 4), w])];
    const session = await runtime.load({ whole: quantisedConv(whole, attrs), strips: quantisedConv(half, attrs) });
    const x = floats(values, 1, channels, 16, 5);
    const y = await session.run({ x, tall: x });
    expect(y.strips.dims).toEqual([1, out, 16, 5]);
    expect(y.strips.data).toEqual(y.whole.data);
  });

  test.each([48, 37, 5])(
    "attention with one head over %d rows is close to float32, also where one key dominates",
    async (rows) => {
      const width = 32;
      const [q, k, v] = ["q", "k", "v"].map((name) => input(name, [b, s, width])) as [Tensor, Tensor, Tensor];
      const session = await runtime.load({
        exact: attention(q, k, v, { heads: 1, causal: false }),
        signed: quantisedAttention(q, k, v, { unsigned: false }),
        unsigned: quantisedAttention(q, k, v, { unsigned: true }),
      });
      for (const ahead of [0, 6]) {
        const feed = (first: number) => {
          const values = normal(2 * rows * width);
          for (let i = 0; i < width; i++) values[i] = values[i]! + first;
          return floats(values, 2, rows, width);
        };
        const y = await session.run({ q: feed(0), k: feed(ahead), v: feed(0) }); // this key dominates for a query in its direction
        expect(y.unsigned.dims).toEqual(y.exact.dims);
        expect(decibels(y.exact.data as Float32Array, y.unsigned.data as Float32Array)).toBeGreaterThan(30);
        const same = () =>
          expect(y.signed.data as Float32Array).toMatchGolden(y.unsigned.data as Float32Array, 1e-5, { relative: true });
        if (anyWeights) same();
        else expect(same).toThrow(); // the reason for unsigned bytes
      }
    },
  );
});

test.each([true, false])(
  "a convolution behind an upsampling depends on each pixel of the upsampled picture, bias: %s",
  async (biased) => {
    const [out, channels, H, W] = [3, 2, 3, 4];
    const [weights, values, bias] = [ramp(out * channels * 9), ramp(2 * channels * H * W, 0.3), [1, -2, 3]];
    const x = input("x", [b, channels, h, w]);
    const attrs = { stride: 1, pads: [1, 1, 1, 1] } as const;
    const y = conv2d(
      upsample(x, 2),
      constant(Array.from(weights), [out, channels, 3, 3]),
      biased ? constant(bias, [3]) : undefined,
      attrs,
    );
    expect(splitUpsampling(y)?.shape).toEqual(y.shape);
    const session = await runtime.load({ y });
    const found = (await session.run({ x: floats(values, 2, channels, H, W) })).y;
    expect(found.dims).toEqual([2, out, 2 * H, 2 * W]);
    const expected = Array.from({ length: 2 * out * 4 * H * W }, (_, i) => {
      const [column, row] = [i % (2 * W), Math.floor(i / (2 * W)) % (2 * H)];
      const [o, sample] = [Math.floor(i / (4 * H * W)) % out, Math.floor(i / (4 * H * W * out))];
      let sum = biased ? bias[o]! : 0;
      for (let c = 0; c < channels; c++)
        for (let k = 0; k < 9; k++) {
          const [r, q] = [row + Math.floor(k / 3) - 1, column + (k % 3) - 1];
          if (r < 0 || q < 0 || r >= 2 * H || q >= 2 * W) continue;
          sum += weights[(o * channels + c) * 9 + k]! * values[((sample * channels + c) * H + (r >> 1)) * W + (q >> 1)]!;
        }
      return sum;
    });
    expect(found.data as Float32Array).toMatchGolden(Float32Array.from(expected), 1e-5);
  },
);

test("an upsampling is unchanged before a convolution of another size, stride or padding", () => {
  const x = input("x", [b, 2, h, w]);
  const conv = (size: number, stride: number, pad: number, factor = 2) =>
    splitUpsampling(
      conv2d(upsample(x, factor), input("k", [2, 2, size, size]), undefined, { stride, pads: [pad, pad, pad, pad] }),
    );
  for (const other of [conv(1, 1, 0), conv(3, 2, 1), conv(3, 1, 0), conv(5, 1, 2), conv(3, 1, 1, 4)])
    expect(other).toBeUndefined();
});
