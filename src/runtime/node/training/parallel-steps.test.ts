import { expect, test } from "vitest";
import { floats } from "../../../core/array.ts";
import { grad } from "../../../graph/grad.ts";
import { mul } from "../../../graph/ops/elementwise.ts";
import { reduceMean } from "../../../graph/ops/reduce.ts";
import { input } from "../../../graph/ops/source.ts";
import { ParallelSteps, trainingState, type Update } from "./parallel-steps.ts";

const update: Update = {
  groups: [{ lr: 0.1, weightDecay: 0 }],
  beta1: 0.9,
  beta2: 0.99,
  eps: 1e-8,
  momentum: 0.95,
  step: 1,
  clip: 0,
  emaDecay: 0,
};

async function open(state = trainingState(4, { ema: false, workers: 2 })) {
  const w = input("w", [4]);
  const loss = reduceMean(mul(w, input("x", [4])));
  const parameters = [{ name: "w", dims: [4], offset: 0, length: 4, group: 0 }];
  const outputs = { loss, "grad:w": grad(loss, [w])[0]! };
  return ParallelSteps.open({ outputs, metrics: ["loss"], loss: "loss", fed: parameters, parameters, state });
}
const batch = [{ x: floats(Float32Array.of(1, 2, 3, 4), 4) }];

test("a worker that ends while idle fails the next step, and nothing waits for ever", async () => {
  const steps = await open();
  expect((await steps.step([batch, batch], update)).updated).toBe(true);
  await steps.close();
  await expect(steps.step([batch, batch], update)).rejects.toThrow("a training worker has ended");
});

test("when one worker fails in a step, the other does not wait for it", async () => {
  const steps = await open();
  await expect(steps.step([batch, [{ x: floats(new Float32Array(3), 3) }]], update)).rejects.toThrow(/x|shape|dimension/i);
  await expect(steps.step([batch, batch], update)).rejects.toThrow("a training worker has ended");
});

test.each([true, false])("gradients are averaged, and the norm is that of the mean; in one memory: %s", async (together) => {
  const state = trainingState(4, { ema: true, workers: 2 });
  expect(state.memory).toBeDefined();
  const steps = await open(together ? state : { ...state, memory: undefined }); // as if one memory were too small
  const other = [{ x: floats(Float32Array.of(3, 2, 1, 0), 4) }];
  const { norm, measured } = await steps.step([batch, other], { ...update, emaDecay: 0.5 });
  expect(norm).toBeCloseTo(Math.hypot(2, 2, 2, 2) / 4, 6);
  expect(measured).toEqual([[{ loss: Float32Array.of(0) }], [{ loss: Float32Array.of(0) }]]);
  expect([...state.params].map((v) => v.toFixed(5))).toEqual(Array(4).fill("-0.10000")); // AdamW's first step is as long as its rate
  expect([...state.ema!].map((v) => v.toFixed(5))).toEqual(Array(4).fill("-0.05000"));
  await steps.close();
});

test("a stopped step changes nothing, and no step can follow", async () => {
  const state = trainingState(4, { ema: false, workers: 2 });
  const steps = await open(state);
  steps.stop();
  await expect(steps.step([batch, batch], update)).rejects.toThrow("the step was stopped");
  expect([...state.params, ...state.m]).toEqual(Array(8).fill(0));
  await expect(steps.step([batch, batch], update)).rejects.toThrow("a training worker has ended");
});
