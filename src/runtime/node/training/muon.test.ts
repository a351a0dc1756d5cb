import { afterAll, expect, test } from "vitest";
import { floats } from "../../../core/array.ts";
import { gaussians } from "../../../core/random/gaussians.ts";
import { seededRandom } from "../../../core/random/seeded-random.ts";
import { grad } from "../../../graph/grad.ts";
import { add, mul, sub } from "../../../graph/ops/elementwise.ts";
import { matmul } from "../../../graph/ops/matrix.ts";
import { reduceMean } from "../../../graph/ops/reduce.ts";
import { input } from "../../../graph/ops/source.ts";
import { ortRuntime } from "../ort-runtime.ts";
import { direction, shrinkAndMove } from "./muon.js";
import { orthogonalise } from "./orthogonal.ts";
import { ParallelSteps, trainingState, type Update } from "./parallel-steps.ts";
import { rangesOf, shares } from "./shares.ts";

const runtime = ortRuntime({ threads: 1 });
afterAll(() => runtime.close());

const random = (count: number, seed: number): Float32Array => gaussians(seededRandom(seed), count);
const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));

test.each([
  [6, 40],
  [40, 6],
  [16, 16],
])("singular values of a %i x %i matrix approach 1, and its singular vectors stay", async (rows, columns) => {
  const values = random(rows * columns, rows);
  const unit = values.map((v) => v / norm(values));
  const x = input("x", [rows, columns]);
  const y = orthogonalise(x);
  const small = rows <= columns;
  const session = await runtime.load({
    gram: matmul(y, y, small ? { transB: true } : { transA: true }),
    mixed: matmul(x, y, small ? { transB: true } : { transA: true }), // symmetric and positive semidefinite if singular vectors stay
  });
  const { gram, mixed } = await session.run({ x: floats(unit, rows, columns) });
  const n = Math.min(rows, columns);
  let trace = 0;
  for (let i = 0; i < n; i++) {
    expect(gram.data[i * n + i]).toBeGreaterThan(0.4);
    expect(gram.data[i * n + i]).toBeLessThan(1.5);
    trace += Number(mixed.data[i * n + i]);
    for (let j = 0; j < i; j++) {
      expect(Math.abs(Number(gram.data[i * n + j]))).toBeLessThan(0.3);
      expect(mixed.data[i * n + j]).toBeCloseTo(Number(mixed.data[j * n + i]), 4);
    }
  }
  expect(trace).toBeGreaterThan(0.7); // the singular values of a matrix of norm 1 sum to at least 1
  await session.close();
});

test("the mean takes its share of the new gradient, and the direction has Nesterov momentum at norm 1", () => {
  const mean = Float32Array.of(9, 1, 2, 9);
  const gradients = Float32Array.of(9, 6, -4, 9);
  direction(mean.subarray(1, 3), gradients.subarray(1, 3), 0.5, 0.75);
  expect([...mean]).toEqual([9, 1.5, 1, 9]); // 0.75 of 1 and 0.25 of 3
  const ahead = Float32Array.of(0.75 * 1.5 + 0.75, 0.75 - 0.5);
  expect(gradients[1]).toBeCloseTo(ahead[0]! / norm(ahead), 5);
  expect(gradients[2]).toBeCloseTo(ahead[1]! / norm(ahead), 5);
  expect([gradients[0], gradients[3]]).toEqual([9, 9]);
});

test("a matrix is decayed, and moves by 0.2 of the learning rate in root mean square", () => {
  const params = Float32Array.of(7, 1, 1, 1, 1, 1, 1, 1, 1);
  const directions = Float32Array.of(1, 0, 0, 0, 0, 1, 0, 0); // 2 x 4, orthogonal
  shrinkAndMove(params.subarray(1), directions, { rows: 2, columns: 4 }, { lr: 0.5, weightDecay: 0.1 });
  const moved = params.subarray(1).map((v) => v - 0.95);
  expect(params[0]).toBe(7);
  expect(Math.sqrt(moved.reduce((sum, v) => sum + v * v, 0) / 8)).toBeCloseTo(0.5 * 0.2, 5);
});

test("shares have equal counts of numbers and whole matrices, without overlap", () => {
  const parameters = [
    { name: "a", dims: [10], offset: 0, length: 10, group: 0 },
    { name: "m", dims: [4, 3, 1, 1], offset: 10, length: 12, group: 1, orthogonal: true },
    { name: "b", dims: [2, 3], offset: 22, length: 6, group: 0 },
    { name: "n", dims: [4, 4], offset: 28, length: 16, group: 1, orthogonal: true },
  ];
  const [first, second] = shares(parameters, 2);
  expect(first).toEqual({
    pieces: [{ offset: 0, length: 8, group: 0 }],
    matrices: [{ offset: 28, length: 16, group: 1, rows: 4, columns: 4 }],
  });
  expect(second).toEqual({
    pieces: [
      { offset: 8, length: 2, group: 0 },
      { offset: 22, length: 6, group: 0 },
    ],
    matrices: [{ offset: 10, length: 12, group: 1, rows: 4, columns: 3 }],
  });
});

const update: Update = {
  groups: [],
  beta1: 0.9,
  beta2: 0.99,
  eps: 1e-8,
  momentum: 0.9,
  step: 1,
  clip: 0,
  emaDecay: 0,
};

test("adjacent ranges of a share are merged", () => {
  const matrix = { offset: 4, length: 6, group: 1, rows: 2, columns: 3 };
  const share = {
    pieces: [
      { offset: 12, length: 3, group: 0 },
      { offset: 2, length: 2, group: 0 },
    ],
    matrices: [matrix],
  };
  expect(rangesOf(share)).toEqual([
    { from: 2, to: 10 },
    { from: 12, to: 15 },
  ]);
});

const rates = (step: number) => [0.1, 0.3].map((most) => ({ lr: most * (1 - step / 61), weightDecay: 0 }));

/** Two layers that learn a map of five numbers to three; loss after some steps. */
async function learnt(workers: number) {
  const dims = { first: [8, 5], second: [3, 8], bias: [3] };
  let offset = 0;
  const parameters = Object.entries(dims).map(([name, shape]) => {
    const length = shape.reduce((a, b) => a * b);
    const parameter = { name, dims: shape, offset, length, group: shape.length > 1 ? 1 : 0, orthogonal: shape.length > 1 };
    offset += length;
    return parameter;
  });
  const state = trainingState(offset, { ema: true, workers });
  state.params.set(random(offset, 1).map((v) => 0.3 * v));
  const [first, second, bias] = parameters.map(({ name, dims }) => input(name, dims));
  const y = add(matmul(matmul(input("x", [12, 5]), first!, { transB: true }), second!, { transB: true }), bias!);
  const error = sub(y, input("y", [12, 3]));
  const loss = reduceMean(mul(error, error));
  const gradients = grad(loss, [first!, second!, bias!]);
  const outputs = Object.fromEntries([
    ["loss", loss] as const,
    ...gradients.map((g, i) => [`grad:${parameters[i]!.name}`, g] as const),
  ]);
  const steps = await ParallelSteps.open({ outputs, metrics: ["loss"], loss: "loss", fed: parameters, parameters, state });
  const losses: number[] = [];
  const map = random(15, 5);
  for (let step = 1; step <= 60; step++) {
    const batches = [0, 1].map((i) => {
      const x = random(60, 100 * step + i);
      const target = new Float32Array(36).map((_, at) => {
        const [row, out] = [Math.floor(at / 3), at % 3];
        return 1 + [0, 1, 2, 3, 4].reduce((sum, k) => sum + x[row * 5 + k]! * map[out * 5 + k]!, 0);
      });
      return { x: floats(x, 12, 5), y: floats(target, 12, 3) };
    });
    const dealt = workers === 2 ? batches.map((batch) => [batch]) : [batches];
    const { measured } = await steps.step(dealt, { ...update, groups: rates(step), step });
    losses.push(measured.flat().reduce((sum, { loss }) => sum + loss![0]! / 2, 0));
  }
  await steps.close();
  return { losses, params: state.params.slice(), ema: state.ema!.slice() };
}

test("matrices are trained by Muon and vectors by AdamW, the same on one worker and on two", async () => {
  const [one, two] = [await learnt(1), await learnt(2)];
  expect(one.losses.at(-1)!).toBeLessThan(0.05 * one.losses[0]!);
  expect(two.params).toMatchGolden(one.params, 1e-4);
  expect(two.ema).toMatchGolden(two.params, 0);
});
