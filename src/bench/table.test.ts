import { expect, test } from "vitest";
import type { MeasuredPrecision, MeasuredSize } from "./measure.ts";
import { spread, summaryOf } from "./summary.ts";
import { benchTable, growthText } from "./table.ts";

const work = (total: number) => ({ linear: total, convolution: 0, attention: 0, total });
function measured(side: number, batch: number, total: number, evaluations: number[], totals: number[]): MeasuredSize {
  const size = { width: side, height: side };
  const pictures = totals.map((total, i) => ({
    ...size,
    load: {},
    text: 0.25,
    id: i,
    evaluations: [evaluations[i]!],
    decode: 1.5,
    total,
    modelMemory: 2e9,
  }));
  return { ...size, batch, rows: batch, work: work(total), pictures, memory: 3.14e9 };
}
const machine = {
  processor: "Processor 5",
  instructions: ["avx2"],
  cores: 2,
  memory: 24e9,
  system: "linux 6 x64",
  node: "20.20.2",
  onnxRuntime: "1.30.0",
};

test("median, minimum and maximum", () => {
  expect(spread([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  expect(spread([4, 1, 2, 10]).median).toBe(3);
  expect(() => spread([])).toThrow(RangeError);
});

test("a summary pools evaluations, and separates the first picture from later ones", () => {
  expect(summaryOf(measured(512, 1, 1.6e12, [4, 2, 3], [20, 10, 12]))).toEqual({
    text: 0.25,
    id: 1,
    evaluation: { median: 3, min: 2, max: 4 },
    decode: 1.5,
    first: 20,
    again: 11,
    work: 1.6e12,
    speed: 1600 / 3,
  });
  expect(summaryOf(measured(512, 1, 1, [1], [1])).again).toBeUndefined();
});

const runs: MeasuredPrecision[] = [
  {
    device: "cpu",
    precision: "int8",
    prepare: { unet: 60 },
    load: { unet: 2, vae: 0.5 },
    measured: [measured(1024, 1, 6.76e12, [10, 12], [40, 30]), measured(512, 1, 1.59e12, [2, 2], [9, 8])],
  },
  {
    device: "cpu",
    precision: "f32",
    prepare: {},
    load: {},
    measured: [measured(512, 1, 1.59e12, [6], [9])],
  },
];

test("the table has the machine, preparing, loading, and a line for each size", () => {
  const text = benchTable(machine, runs);
  expect(text).toContain("Processor 5 (avx2), 2 cores, 24.0 GB; linux 6 x64; Node 20.20.2; ONNX Runtime 1.30.0");
  expect(text).toContain("preparing, once only: 60.00 (unet 60.00)");
  expect(text).toContain("loading: 2.50 (unet 2.00, vae 0.500)");
  expect(text).toMatch(/512x512 +1 +0\.250 +0\.500 +2\.00 +\(2\.00-2\.00\) +1\.50 +9\.00 +8\.00 +1\.59 +795 +3\.1 GB/);
});

test("growth is sorted by work, and cells that were not measured are blank", () => {
  const lines = growthText(runs).split("\n");
  expect(lines[1]).toMatch(/size +batch +TFLOP +cpu int8 +cpu f32/);
  expect(lines[2]).toMatch(/512x512 +1 +1\.59 +x1\.00 +2\.00 +x1\.00 +6\.00 +x1\.00/);
  expect(lines[3]).toMatch(/1024x1024 +1 +6\.76 +x4\.25 +11\.00 +x5\.50 +-$/);
  expect(growthText([runs[1]!])).toBe("");
});
