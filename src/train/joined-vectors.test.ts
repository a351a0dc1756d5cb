import { expect, test } from "vitest";
import { floats } from "../core/array.ts";
import { add, mul } from "../graph/ops/elementwise.ts";
import { reduceSum } from "../graph/ops/layout.ts";
import { linear } from "../graph/ops/matrix.ts";
import { input } from "../graph/ops/source.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { joinVectors } from "./joined-vectors.ts";
import { trainingOutputs } from "./run.ts";
import { TrainableWeights } from "./trainable-weights.ts";

/** Two layers and a scale, in an order that mixes matrices and vectors. */
function task() {
  const weights = new TrainableWeights();
  const param = (name: string, ...shape: number[]) => weights.param(name, shape, "zeros");
  const hidden = linear(input("x", [2, 3]), param("a.weight", 4, 3), param("a.bias", 4));
  const y = linear(mul(hidden, param("scale", 4)), param("b.weight", 2, 4), param("b.bias", 2));
  return { weights, loss: reduceSum(mul(y, add(y, 1))) };
}

test("vectors follow the matrices, and are one input and one gradient", () => {
  const { weights } = task();
  const parameters = weights.layout(() => 0);
  expect(parameters.map(({ name, offset }) => [name, offset])).toEqual([
    ["a.weight", 0],
    ["b.weight", 12],
    ["a.bias", 20],
    ["scale", 24],
    ["b.bias", 28],
  ]);
  expect(joinVectors(parameters, weights.tensors()).fed).toEqual([
    { name: "a.weight", dims: [4, 3], offset: 0, length: 12 },
    { name: "b.weight", dims: [2, 4], offset: 12, length: 8 },
    { name: "a.bias and 2 more", dims: [10], offset: 20, length: 10 },
  ]);
});

test("a vector stays alone if a gap or a matrix separates it from the next", () => {
  const { weights } = task();
  const [first, second, bias, scale, last] = weights.layout(() => 0);
  const names = (...parameters: (typeof first)[]): string[] =>
    joinVectors(
      parameters.map((parameter) => parameter!),
      weights.tensors(),
    ).fed.map(({ name }) => name);
  expect(names(bias, last)).toEqual(["a.bias", "b.bias"]);
  expect(names(bias, first, scale, second)).toEqual(["a.bias", "a.weight", "scale", "b.weight"]);
});

test("gradients equal those of separate vectors", async () => {
  const { weights, loss } = task();
  const parameters = weights.layout(() => 0);
  const joined = trainingOutputs({ weights, loss }, parameters);
  const apart = trainingOutputs({ weights, loss, kept: new Set() }, parameters);
  const values = Float32Array.from({ length: 30 }, (_, i) => Math.sin(i + 1));
  const runtime = ortRuntime({ threads: 1 });
  try {
    const [one, other] = await Promise.all(
      [joined, apart].map(async ({ outputs, fed }) => {
        const feeds = fed.map(({ name, dims, offset, length }) => [name, floats(values.slice(offset, offset + length), ...dims)]);
        const x = floats(Float32Array.of(1, 2, 3, -1, 0, 1), 2, 3);
        const found = await (await runtime.load(outputs)).run({ x, ...Object.fromEntries(feeds) });
        return fed.flatMap(({ name }) => [...(found[`grad:${name}`]!.data as Float32Array)]);
      }),
    );
    expect(one).toHaveLength(30);
    expect(Float32Array.from(one!)).toMatchGolden(Float32Array.from(other!), 1e-5);
  } finally {
    await runtime.close();
  }
});
