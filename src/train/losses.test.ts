import { afterAll, expect, test } from "vitest";
import { floats } from "../core/array.ts";
import { input } from "../graph/ops/source.ts";
import type { Tensor } from "../graph/tensor.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { classification, contrastive, crossEntropy, squaredError, unitRows } from "./losses.ts";

const runtime = ortRuntime({ threads: 1 });
afterAll(() => runtime.close());

/** The value of a graph for inputs given as rows. */
async function computed(y: Tensor, feeds: Readonly<Record<string, readonly (readonly number[])[]>>): Promise<number[]> {
  const session = await runtime.load({ result: y });
  const arrays = Object.entries(feeds).map(([name, rows]) => {
    return [name, floats(Float32Array.from(rows.flat()), rows.length, rows[0]!.length)] as const;
  });
  return Array.from((await session.run(Object.fromEntries(arrays))).result.data, Number);
}

test("the squared error is the mean over all values, each times its weight", async () => {
  const [x, y] = [input("x", [2, 2]), input("y", [2, 2])];
  const feeds = {
    x: [
      [1, 2],
      [3, 4],
    ],
    y: [
      [1, 0],
      [4, 1],
    ],
  }; // squares 0, 4, 1, 9
  expect(await computed(squaredError(x, y), feeds)).toEqual([14 / 4]);
  const weight = input("weight", [2, 1]);
  expect(await computed(squaredError(x, y, weight), { ...feeds, weight: [[2], [0.5]] })).toEqual([(2 * 4 + 0.5 * 10) / 4]);
});

test("cross-entropy is the mean over rows of minus the log probability of the target", async () => {
  const [logits, target] = [input("logits", [2, 2]), input("target", [2, 2])];
  // shares 3/4 and 1/4, 1/2 and 1/2
  const feeds = {
    logits: [
      [Math.log(3), 0],
      [5, 5],
    ],
    target: [
      [0, 1],
      [1, 0],
    ],
  };
  const [loss] = await computed(crossEntropy(logits, target), feeds);
  expect(loss).toBeCloseTo((Math.log(4) + Math.log(2)) / 2, 5);
});

test("adjacent classifications have equal weight", async () => {
  const [logits, target] = [input("logits", [1, 5]), input("target", [1, 5])];
  const { loss, parts } = classification(logits, target, [2, 3]);
  const feeds = { logits: [[Math.log(3), 0, 0, 0, Math.log(2)]], target: [[0, 1, 0, 0, 1]] };
  const [first, second] = [Math.log(4), Math.log(2)]; // 1/4, and 2 of 1 + 1 + 2
  expect((await computed(parts[0]!, feeds))[0]).toBeCloseTo(first, 5);
  expect((await computed(parts[1]!, feeds))[0]).toBeCloseTo(second, 5);
  expect((await computed(loss, feeds))[0]).toBeCloseTo((first + second) / 2, 5);
});

test("rows are scaled to length 1, and a row of zeros stays", async () => {
  const rows = await computed(unitRows(input("x", [3, 2])), {
    x: [
      [3, 4],
      [0, 0],
      [0, -2],
    ],
  });
  expect(rows).toMatchGolden([0.6, 0.8, 0, 0, 0, -1], 1e-6);
});

test("the contrastive loss matches rows in both directions, less the margin", async () => {
  const [a, b] = [input("a", [2, 2]), input("b", [2, 2])];
  const feeds = {
    a: [
      [1, 0],
      [0, 1],
    ],
    b: [
      [0.6, 0.8],
      [0, 1],
    ],
    scale: [[Math.log(2)]],
  };
  const scale = input("scale", [1, 1]);
  // similarities of a's rows with b's, twice as large: [1.2, 0], [1.6, 2]
  const minusLog = (own: number, other: number) => Math.log(1 + Math.exp(other - own));
  const byHand = (margin: number) => {
    const [one, two] = [1.2 - 2 * margin, 2 - 2 * margin];
    const rows = (minusLog(one, 0) + minusLog(two, 1.6)) / 2;
    const columns = (minusLog(one, 1.6) + minusLog(two, 0)) / 2;
    return (rows + columns) / 2;
  };
  expect((await computed(contrastive(a, b, scale), feeds))[0]).toBeCloseTo(byHand(0), 5);
  expect((await computed(contrastive(a, b, scale, 0.25), feeds))[0]).toBeCloseTo(byHand(0.25), 5);
});
