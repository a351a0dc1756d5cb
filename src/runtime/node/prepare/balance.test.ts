import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { floats } from "../../../core/array.ts";
import { gaussians } from "../../../core/random/gaussians.ts";
import { seededRandom } from "../../../core/random/seeded-random.ts";
import { Checkpoint } from "../../../graph/checkpoint.ts";
import { add } from "../../../graph/ops/elementwise.ts";
import { input } from "../../../graph/ops/source.ts";
import { normsBefore } from "../../../graph/quantise.ts";
import type { Tensor } from "../../../graph/tensor.ts";
import { Weights } from "../../../graph/weights.ts";
import { layerNorm, linear } from "../../../nn/layers.ts";
import { randomWeights } from "../../../testing/random-weights.ts";
import type { Tensors } from "../../../weights/index.ts";
import { ortRuntime } from "../ort-runtime.ts";
import { balance } from "./balance.ts";
import { prepare } from "./prepare.ts";

const folder = await mkdtemp(join(tmpdir(), "balance-"));
afterAll(() => rm(folder, { recursive: true }));

const [WIDTH, OUT, ROWS] = [128, 64, 32];
const SHAPES = { "norm.weight": [WIDTH], "norm.bias": [WIDTH], "a.weight": [OUT, WIDTH], "b.weight": [OUT, WIDTH] };

/** Weights in which every 32nd channel behind the norm is `factor` times as large, and its columns as much smaller: the same function. */
const weights = (factor: number): Promise<Tensors> =>
  randomWeights(join(folder, `${factor}.safetensors`), SHAPES, 5, (values, name) => {
    if (name === "norm.weight") values.fill(1);
    const by = name.startsWith("norm") ? factor : 1 / factor;
    return values.map((v, i) => ((i % WIDTH) % 32 === 0 ? v * by : v));
  });

function graph(tensors: Tensors): { readonly a: Tensor; readonly b: Tensor } {
  const w = new Weights(new Checkpoint(tensors, "test"));
  const normal = layerNorm(input("x", [ROWS, WIDTH]), w.at("norm"));
  return {
    a: linear(normal, w.at("a"), { out: OUT, bias: false }),
    b: linear(normal, w.at("b"), { out: OUT, bias: false }),
  };
}

test("channels far larger than the others do not increase the error in 8 bits", async () => {
  const runtime = ortRuntime();
  try {
    const x = floats(gaussians(seededRandom(6), ROWS * WIDTH), ROWS, WIDTH);
    const noises: number[] = [];
    for (const factor of [1, 50]) {
      const outputs = graph(await weights(factor));
      const what = { model: "test", from: "test", outputs, pairs: new Map() };
      const over = await prepare(what, { cache: { folder: join(folder, "cache"), mostBytes: 1e9 } });
      const [exact, eight] = [await runtime.load(outputs), await runtime.load(over(outputs))];
      const [y, rounded] = [await exact.run({ x }), await eight.run({ x })];
      const [of, is] = [y.a.data as Float32Array, rounded.a.data as Float32Array];
      noises.push(of.reduce((sum, v, i) => sum + (v - is[i]!) ** 2, 0) / of.reduce((sum, v) => sum + v ** 2, 0));
    }
    expect(noises[0]).toBeGreaterThan(0);
    expect(noises[0]).toBeLessThan(1e-3);
    expect(noises[1]).toBeLessThan(noises[0]! * 2);
  } finally {
    await runtime.close();
  }
});

test("the norm is divided by the factors of its layers' columns", async () => {
  const tensors = await weights(50);
  const [norm] = normsBefore(Object.values(graph(tensors)));
  const { columns, norms } = await balance([norm!]);
  expect([...columns.keys()].sort()).toEqual(["a.weight", "b.weight"]);
  const [scale, column] = [norms.get("norm.weight")!, columns.get("a.weight")!];
  expect(scale[0]! * column[0]!).toBeCloseTo(50, 3);
  expect(scale[1]! * column[1]!).toBeCloseTo(1, 5);
  expect(column[0]! / column[1]!).toBeGreaterThan(25);
  expect([...column].every((s) => s > 0)).toBe(true);
});

test("a norm with another use is unchanged", async () => {
  const tensors = await weights(1);
  const { a, b } = graph(tensors);
  const normal = a.inputs[0]!;
  expect(normsBefore([a, b])).toHaveLength(1);
  expect(normsBefore([a, b, normal])).toEqual([]);
  expect(normsBefore([a, add(normal, 1)])).toEqual([]);
});
