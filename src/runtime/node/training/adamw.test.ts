// Against torch.optim.AdamW and torch.nn.utils.clip_grad_norm_: the fixture comes from reference/adamw.py.
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { assembled } from "../../../testing/assembled.ts";
import { goldenTensors } from "../../../testing/tensors.ts";
import { accumulate, adamw, addGradients, average } from "./adamw.js";
import { computeIn, sharedMemory } from "./kernels.js";
import { kernelBytes } from "./kernels-bytes.js";

test("twelve clipped updates of two groups equal torch's", async () => {
  const golden = await goldenTensors("adamw", "adamw.safetensors");
  const of = async (name: string): Promise<Float32Array> => (await golden.floats(name)).data;
  const [start, grads, rates, norms] = [await of("params"), await of("grads"), await of("rates"), await of("norms")];
  const n = start.length;
  const state = { params: start.slice(), m: new Float32Array(n), v: new Float32Array(n) };
  for (let i = 0; i < rates.length; i++) {
    const g = grads.slice(i * n, (i + 1) * n);
    const norm = Math.sqrt(addGradients(g, []));
    expect(norm / norms[i]!).toBeCloseTo(1, 5);
    const scale = Math.min(1, 1 / (norm + 1e-6));
    const options = { beta1: 0.9, beta2: 0.99, eps: 1e-8, step: i + 1 };
    for (const [from, to, lr, weightDecay] of [
      [0, 40, rates[i]!, 0.1],
      [40, n, rates[i]! * 10, 0],
    ] as const) {
      const part = (all: Float32Array): Float32Array => all.subarray(from, to);
      adamw({ params: part(state.params), m: part(state.m), v: part(state.v) }, part(g), scale, { ...options, lr, weightDecay });
    }
    expect(state.params).toMatchGolden(await of(`params.${i + 1}`), 2e-6);
  }
  expect(state.m).toMatchGolden(await of("m"), 1e-6, { relative: true });
  expect(state.v).toMatchGolden(await of("v"), 1e-6, { relative: true });
});

test("the moving average moves towards the parameters by its share", () => {
  const ema = Float32Array.of(1, 1, 3);
  average(ema, Float32Array.of(2, 2, 3), 0.75);
  expect([...ema]).toEqual([1.25, 1.25, 3]);
});

test("gradients are added, and the squares of their sum summed", () => {
  const into = Float32Array.of(1, 2, 3);
  accumulate(into, Float32Array.of(10, 20, 30));
  expect([...into]).toEqual([11, 22, 33]);
  expect(addGradients(into, [Float32Array.of(-10, -20, -30), Float32Array.of(0, 1, 1)])).toBe(1 + 9 + 16);
  expect([...into]).toEqual([1, 3, 4]);
});

test("a sum of squares with NaN is NaN, and squares that would overflow float32 do not", () => {
  expect(addGradients(Float32Array.of(3, 4), [])).toBe(25);
  expect(addGradients(Float32Array.of(3, Number.NaN), [])).toBeNaN();
  expect(addGradients(Float32Array.of(1e25), [])).toBeCloseTo(1e50, -44);
});

test.each([1, 3, 2047, 2048, 2049, 5000])("each of %d numbers is updated once, and nothing after them", (count) => {
  const all = Float32Array.from({ length: count + 2 }, (_, i) => i);
  accumulate(all.subarray(1, count + 1), new Float32Array(count).fill(0.5));
  expect(all.every((v, i) => v === (i === 0 || i === count + 1 ? i : i + 0.5))).toBe(true);
});

test.each([1, 3, 4, 2049, 5000])(
  "each of %d numbers in a shared memory is updated once in place, and nothing after them",
  (count) => {
    const memory = sharedMemory(2 * (count + 2) * 4);
    computeIn(memory);
    const all = new Float32Array(memory.buffer as unknown as ArrayBuffer, 0, 2 * (count + 2)).map((_, i) => i);
    const here = new Float32Array(memory.buffer as unknown as ArrayBuffer, 0, all.length);
    here.set(all);
    const [into, values] = [here.subarray(1, count + 1), here.subarray(count + 2, 2 * count + 2)];
    const sums = all.slice(1, count + 1).map((v, i) => v + all[count + 2 + i]!);
    expect(addGradients(into, [values])).toBeCloseTo(
      sums.reduce((sum, v) => sum + v * v, 0),
      -6,
    );
    expect(into).toEqual(sums);
    expect([here[0], ...here.subarray(count + 1)]).toEqual([all[0], ...all.subarray(count + 1)]);
  },
);

test("kernels-bytes.js is the assembled kernels.wat", async () => {
  const source = await readFile(new URL("./kernels.wat", import.meta.url), "utf8");
  expect(Buffer.from(await assembled(source)).toString("base64")).toBe(kernelBytes); // npm run kernels
});
