import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { grad } from "../graph/grad.ts";
import { widenAtUse } from "../graph/ops/after.ts";
import { add, mul } from "../graph/ops/elementwise.ts";
import { linear } from "../graph/ops/matrix.ts";
import { reduceMean } from "../graph/ops/reduce.ts";
import { input, param } from "../graph/ops/source.ts";
import { rewrite } from "../graph/rewrite.ts";
import { smallTask } from "../testing/small-task.ts";
import { memorySource } from "../weights/byte-source.ts";
import { requireMemory, trainingMemory } from "./memory.ts";
import { type TrainingPhase, train } from "./run.ts";

const folder = await mkdtemp(join(tmpdir(), "memory-"));
afterAll(() => rm(folder, { recursive: true }));

const half = (name: string, ...shape: number[]) => {
  const length = 2 * shape.reduce((a, b) => a * b, 1);
  return param(name, {
    name,
    dtype: "F16",
    shape,
    source: { kind: "file", file: memorySource("/weights", new Uint8Array()), offset: 0, length },
  });
};

test("large frozen weights in half precision are counted as stored, small ones as widened, each once", () => {
  const w = input("w", [256]);
  const [large, small] = [half("large", 256, 256), half("small", 256)];
  const x = add(linear(linear(mul(input("x", [3, 256]), w), large), large), small);
  const [loss] = rewrite([reduceMean(mul(x, x))], (t) => widenAtUse(t));
  const outputs = [loss!, ...grad(loss!, [w])];
  const one = trainingMemory(outputs, { size: 256, ema: false, workers: 1, accumulate: 1 });
  expect(one).toMatchObject({ trained: 5 * 1024, mapped: 2 * 256 ** 2, widened: 1024 });
  expect(one.values).toBeGreaterThan(4 * 256 ** 2); // the large one, widened
  const two = trainingMemory(outputs, { size: 256, ema: true, workers: 2, accumulate: 1 });
  expect(two).toMatchObject({ trained: 10 * 1024, mapped: one.mapped, widened: 2048, values: 2 * one.values });
  expect(two.least - one.least).toBeCloseTo(1.6 * (5 * 1024 + 1024 + one.values), 0);
  expect(trainingMemory(outputs, { size: 256, ema: false, workers: 1, accumulate: 2 }).trained).toBe(6 * 1024);
});

test("too little memory is refused with figures; frozen weights that are read in place need not fit", () => {
  const memory = { trained: 4e9, mapped: 7e9, widened: 0.1e9, values: 0.3e9, least: 7.6e9 };
  expect(() => requireMemory(memory, 8e9)).not.toThrow();
  expect(() => requireMemory(memory, 6.5e9)).toThrow(
    /about 7\.6 GB of memory, but only 6\.5 GB are free: 4\.0 GB for trained weights/,
  );
});

test("initial weights of other sizes are refused before anything is prepared", async () => {
  let prepared = 0;
  const source = { kind: "bytes", bytes: new Uint8Array(4) } as const;
  const from = new Map([["second.bias", { name: "second.bias", dtype: "F32", shape: [3], source } as const]]);
  const task = smallTask({ steps: 1, change: (t) => ({ ...t, from, prepare: async () => void prepared++ }) });
  await expect(train(task, { folder, workers: 1 })).rejects.toMatchObject({
    code: "train/start-shape",
    message: expect.stringMatching(/second\.bias has shape \[3\], but the trained one has \[1\]/),
  });
  expect(prepared).toBe(0);
});

test("free memory is found as for inference: within a container's limit", async () => {
  const granted = vi.spyOn(process, "constrainedMemory").mockReturnValue(1e6);
  try {
    const phases: TrainingPhase[] = [];
    const run = train(smallTask({ steps: 1 }), { folder, workers: 1, onPhase: (phase) => phases.push(phase) });
    await expect(run).rejects.toMatchObject({ code: "train/memory" });
    expect(phases).toMatchObject([{ phase: "memory", available: 1e6 }]);
  } finally {
    granted.mockRestore();
  }
});

test("a run reports the memory it needs and, if there is too little, ends before anything is prepared or written", async () => {
  const phases: TrainingPhase[] = [];
  let prepared = 0;
  const task = smallTask({ steps: 1, change: (t) => ({ ...t, prepare: async () => void prepared++ }) });
  const options = { folder, workers: 1, onPhase: (phase: TrainingPhase) => phases.push(phase) };
  await expect(train(task, { ...options, availableMemory: 1e6 })).rejects.toMatchObject({ code: "train/memory" });
  expect(phases).toMatchObject([{ phase: "memory", weights: 49, trained: 6 * 4 * 49, mapped: 0, available: 1e6 }]);
  expect(prepared).toBe(0);
  expect(await readdir(folder)).toEqual([]);
  await train(task, options);
  expect(prepared).toBe(1);
  expect(phases.at(-1)).toMatchObject({ phase: "load", peakMemory: expect.any(Number) });
  expect(phases[1]).toMatchObject({ available: expect.any(Number) });
});
