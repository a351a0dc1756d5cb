// Against torch.optim.AdamW and torch.nn.utils.clip_grad_norm_: the fixture comes from reference/adamw.py.
import { expect, test } from "vitest";
import { goldenTensors } from "../../testing/tensors.ts";
import { accumulate, adamw, average, sumOfSquares } from "./adamw.js";

test("twelve clipped updates of two groups are torch's", async () => {
  const golden = await goldenTensors("adamw", "adamw.safetensors");
  const of = async (name: string): Promise<Float32Array> => (await golden.floats(name)).data;
  const [start, grads, rates, norms] = [await of("params"), await of("grads"), await of("rates"), await of("norms")];
  const n = start.length;
  const state = { params: start.slice(), m: new Float32Array(n), v: new Float32Array(n) };
  for (let i = 0; i < rates.length; i++) {
    const g = grads.slice(i * n, (i + 1) * n);
    const norm = Math.sqrt(sumOfSquares(g, 0, n));
    expect(norm / norms[i]!).toBeCloseTo(1, 5);
    const scale = Math.min(1, 1 / (norm + 1e-6));
    const options = { beta1: 0.9, beta2: 0.99, eps: 1e-8, step: i + 1 };
    adamw(state, g, scale, 0, 40, { ...options, lr: rates[i]!, weightDecay: 0.1 });
    adamw(state, g, scale, 40, n, { ...options, lr: rates[i]! * 10, weightDecay: 0 });
    expect(state.params).toMatchGolden(await of(`params.${i + 1}`), 2e-6);
  }
  expect(state.m).toMatchGolden(await of("m"), 1e-6, { relative: true });
  expect(state.v).toMatchGolden(await of("v"), 1e-6, { relative: true });
});

test("the average moves by its share towards the parameters, in its range alone", () => {
  const ema = Float32Array.of(1, 1, 1);
  average(ema, Float32Array.of(2, 2, 2), 0.75, 1, 3);
  expect([...ema]).toEqual([1, 1.25, 1.25]);
});

test("values are added in their range alone", () => {
  const into = Float32Array.of(1, 2, 3);
  accumulate(into, Float32Array.of(10, 20, 30), 1, 2);
  expect([...into]).toEqual([1, 22, 3]);
});

test("a sum with a value that is no number is none", () => {
  expect(sumOfSquares(Float32Array.of(3, 4, Number.NaN), 0, 2)).toBe(25);
  expect(sumOfSquares(Float32Array.of(3, Number.NaN), 0, 2)).toBeNaN();
});
