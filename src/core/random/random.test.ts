import { expect, test } from "vitest";
import { goldenJson, goldenTensors } from "../../testing/tensors.ts";
import { CudaPhiloxGenerator, philox4x32 } from "./cuda-philox-generator.ts";
import { TorchCpuGenerator } from "./torch-cpu-generator.ts";

interface Draw {
  readonly shape: number[];
  readonly values?: number[];
  readonly first16?: number[];
  readonly last16?: number[];
}
const cpu = goldenJson("rng", "torch_cpu.json");
const cuda = goldenJson("rng", "cuda_philox.json");

function expectDraw(actual: Float32Array, draw: Draw, tolerance: number): void {
  expect(actual.length).toBe(draw.shape.reduce((a, b) => a * b, 1));
  if (draw.values !== undefined) {
    expect(actual).toMatchGolden(draw.values, tolerance);
    return;
  }
  expect(actual.slice(0, 16)).toMatchGolden(draw.first16!, tolerance);
  expect(actual.slice(-16)).toMatchGolden(draw.last16!, tolerance);
}
const count = ({ shape }: Draw): number => shape.reduce((a, b) => a * b, 1);

test.each(cpu.cases as (Draw & { seed: string })[])("torch's CPU generator, seed $seed, shape $shape", (draw) => {
  expectDraw(new TorchCpuGenerator(BigInt(draw.seed)).randn(count(draw)), draw, 5e-6);
});

test.each(cpu.sequences as { seed: string; calls: Draw[] }[])(
  "torch's CPU generator continues over several draws: seed $seed",
  ({ seed, calls }) => {
    const generator = new TorchCpuGenerator(BigInt(seed));
    for (const draw of calls) expectDraw(generator.randn(count(draw)), draw, 5e-6);
  },
);

test.each(goldenJson("rng", "large_seeds.json").cases as { seed: string; calls: Draw[] }[])(
  "torch's CPU generator takes seeds of 64 bits, as text and as bigint: $seed",
  ({ seed, calls }) => {
    for (const given of [seed, BigInt(seed)]) {
      const generator = new TorchCpuGenerator(given);
      for (const draw of calls) expectDraw(generator.randn(count(draw)), draw, 5e-6);
    }
  },
);

test("a seed of 64 bits is the whole key of Philox", () => {
  const [largest, half] = [2n ** 64n - 1n, 2n ** 32n - 1n];
  expect(new CudaPhiloxGenerator(String(largest)).randn(4)).toEqual(new CudaPhiloxGenerator(largest).randn(4));
  expect(new CudaPhiloxGenerator(largest).randn(4)).not.toEqual(new CudaPhiloxGenerator(half).randn(4));
});

test("whole draws of torch's CPU generator", async () => {
  const golden = await goldenTensors("rng", "randn_full.safetensors");
  for (const name of golden.names()) {
    const { data } = await golden.floats(name);
    const seed = BigInt(/seed(-?\d+)_/.exec(name)![1]!);
    expect(new TorchCpuGenerator(seed).randn(data.length)).toMatchGolden(data, 5e-6);
  }
});

test("seeds wrap as in torch", () => {
  expect(new TorchCpuGenerator(2n ** 32n + 1n).randn(20)).toEqual(new TorchCpuGenerator(1).randn(20));
  expect(new TorchCpuGenerator(-1).randn(20)).toEqual(new TorchCpuGenerator(2n ** 64n - 1n).randn(20));
});

test.each([0.5, Number.NaN, "1.5", "", 2n ** 64n, -(2n ** 63n) - 1n, 2 ** 60])("the seed %s is refused", (seed) => {
  expect(() => new TorchCpuGenerator(seed)).toThrow(expect.objectContaining({ code: "seed/invalid" }));
});

test("Philox gives Random123's known answers", () => {
  for (const { counter, key, out } of cuda.known_answers) expect(philox4x32(counter, key)).toEqual(out);
});

test("torch's CUDA generator", () => {
  expect(new CudaPhiloxGenerator(0).randn(12)).toMatchGolden(cuda.published_seed0_3x4, 1e-5);
  for (const draw of cuda.cases as (Draw & { seed: string; call: number })[]) {
    const generator = new CudaPhiloxGenerator(BigInt(draw.seed));
    for (let i = 0; i < draw.call; i++) generator.randn(3);
    expectDraw(generator.randn(count(draw)), draw, 1e-5);
  }
});
