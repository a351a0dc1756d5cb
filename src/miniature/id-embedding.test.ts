import { afterAll, expect, test } from "vitest";
import { floats } from "../core/array.ts";
import { gaussians } from "../core/random/gaussians.ts";
import { seededRandom } from "../core/random/seeded-random.ts";
import { input } from "../graph/ops/source.ts";
import { Weights } from "../graph/weights.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { averageToken, composeTokens, inTurn, LINEAR_WEIGHT, linearToken, MOST_ID_IMAGES } from "./id-embedding.ts";

const runtime = ortRuntime();
afterAll(() => runtime.close());
const WIDTH = 5;
const random = seededRandom(3);
const weight = gaussians(random, WIDTH * MOST_ID_IMAGES * WIDTH);

test.each([1, 2, 3, 4])("the linear embedding of %d ID images is the same in the pipeline as in training", async (count) => {
  const tokens = floats(gaussians(random, count * WIDTH), count, WIDTH);
  const param = (name: string, shape: readonly number[]) => {
    expect(name).toBe(LINEAR_WEIGHT);
    return input("weight", shape);
  };
  const y = linearToken(input("tokens", [1, MOST_ID_IMAGES, WIDTH]), new Weights({ param }));
  const session = await runtime.load({ y });
  const rows = inTurn(count).flatMap((n) => [...tokens.data.subarray(n * WIDTH, (n + 1) * WIDTH)]);
  const feeds = {
    tokens: floats(Float32Array.from(rows), 1, MOST_ID_IMAGES, WIDTH),
    weight: floats(weight, WIDTH, MOST_ID_IMAGES * WIDTH),
  };
  const trained = (await session.run(feeds)).y.data as Float32Array;
  const composed = composeTokens("linear", tokens, weight);
  expect(composed.dims).toEqual([1, WIDTH]);
  for (const [i, v] of composed.data.entries()) expect(v).toBeCloseTo(trained[i]!, 5);
  const start = composeTokens("linear", tokens, new Float32Array(weight.length));
  if (MOST_ID_IMAGES % count === 0)
    for (const [i, v] of averageToken(tokens).data.entries()) expect(start.data[i]).toBeCloseTo(v, 6);
});

test("stacked tokens are unchanged, averaged ones become one", () => {
  const tokens = floats(Float32Array.of(1, 2, 3, 6), 2, 2);
  expect(composeTokens("stacked", tokens)).toBe(tokens);
  expect(composeTokens("average", tokens)).toEqual(floats(Float32Array.of(2, 4), 1, 2));
});
