import { afterAll, expect, test } from "vitest";
import { floats } from "../core/array.ts";
import { grad } from "../graph/grad.ts";
import { mul } from "../graph/ops/elementwise.ts";
import { reduceSum } from "../graph/ops/layout.ts";
import { input } from "../graph/ops/source.ts";
import { Weights } from "../graph/weights.ts";
import { fuse } from "../models/fuse.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { scattered } from "../testing/finite-differences.ts";
import { stackTokens } from "./stack-tokens.ts";
import { TrainableWeights } from "./trainable-weights.ts";

const runtime = ortRuntime({ threads: 1 });
afterAll(() => runtime.close());

const [B, T, N, D] = [3, 5, 2, 4];
/** Positions of each row's ID images: two from token 1, one at token 3, none. */
const PLACES = [[1, 2], [3], []];

const context = floats(scattered(B * T * D, 1), B, T, D);
const tokens = floats(scattered(B * N * D, 2), B * N, D);
const places = floats(new Float32Array(B * T * N), B, T, N);
for (const [b, row] of PLACES.entries()) for (const [n, t] of row.entries()) places.data[(b * T + t) * N + n] = 1;

const weights = new TrainableWeights();
const w = new Weights(weights).at("fuse_module");
const stacked = stackTokens(input("context", [B, T, D]), input("places", [B, T, N]), input("tokens", [B * N, D]), w);
const fused = fuse(input("classEmbeds", [1, D]), input("idTokens", [1, D]), w);
const parameters = [...weights.tensors()].map(([name, { shape }], i) => {
  const dims = shape as number[];
  return [
    name,
    floats(
      scattered(
        dims.reduce((a, b) => a * b, 1),
        10 + i,
      ),
      ...dims,
    ),
  ] as const;
});
const fed = Object.fromEntries(parameters);

test("an ID token is fused with the word at its position; everything else is unchanged", async () => {
  const session = await runtime.load({ stacked });
  const one = await runtime.load({ fused });
  const expected = context.data.slice();
  for (const [b, row] of PLACES.entries())
    for (const [n, t] of row.entries()) {
      const at = (b * T + t) * D;
      const image = (b * N + n) * D;
      const classEmbeds = floats(context.data.slice(at, at + D), 1, D);
      const idTokens = floats(tokens.data.slice(image, image + D), 1, D);
      expected.set((await one.run({ ...fed, classEmbeds, idTokens })).fused.data as Float32Array, at);
    }
  const { data } = (await session.run({ ...fed, context, places, tokens })).stacked;
  expect(data as Float32Array).toMatchGolden(expected, 1e-5);
  for (let row = 0; row < B * T; row++) {
    const changed = PLACES[Math.floor(row / T)]!.includes(row % T);
    const [now, before] = [data, context.data].map((all) => Array.from(all.slice(row * D, (row + 1) * D), Number));
    if (changed) expect(now).not.toMatchGolden(before!, 0.1);
    else expect(now).toEqual(before); // to the bit
  }
});

test("only ID images with a position receive gradients", async () => {
  const seen = input("tokens", [B * N, D]);
  const y = stackTokens(input("context", [B, T, D]), input("places", [B, T, N]), seen, w);
  const [gradient] = grad(reduceSum(mul(y, input("dy", [B, T, D]))), [seen]);
  const session = await runtime.load({ gradient: gradient! });
  const dy = floats(scattered(B * T * D, 3), B, T, D);
  const { data } = (await session.run({ ...fed, context, places, tokens, dy })).gradient;
  for (let image = 0; image < B * N; image++) {
    const learnt = data.slice(image * D, (image + 1) * D) as Float32Array;
    const stands = image % N < PLACES[Math.floor(image / N)]!.length;
    expect(learnt.some((v) => v !== 0)).toBe(stands);
  }
});
