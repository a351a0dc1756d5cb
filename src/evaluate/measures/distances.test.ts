import { describe, expect, test } from "vitest";
import { gaussians } from "../../core/random/gaussians.ts";
import { seededRandom } from "../../core/random/seeded-random.ts";
import { goldenPath } from "../../testing/golden.ts";
import { goldenJson, goldenTensors } from "../../testing/tensors.ts";
import { openTensors } from "../../weights/open-tensors.node.ts";
import { readAllValues } from "../../weights/read-tensor.ts";
import { type Matrix64, matrix } from "../linear-algebra/matrix.ts";
import { clipMmd } from "./clip-mmd.ts";
import { diversityPairs, pairsOf } from "./face-diversity.ts";
import { featureMatrix, frechetDistance, frechetOfSamples, gaussianOfMoments, gaussianOfSamples } from "./frechet-distance.ts";
import { kernelDistance, kernelDistanceOfSubsets, kernelDistances, randomSubsets } from "./kernel-distance.ts";

interface FrechetCase {
  readonly name: string;
  readonly "from samples"?: number;
  readonly "closed form"?: number;
}

describe("Fréchet distance", async () => {
  const golden = goldenJson("evaluate/frechet/expected.json");
  const tensors = await readAllValues((await openTensors(goldenPath("evaluate/frechet/inputs.safetensors"))).tensors);
  const read = (name: string): Matrix64 => {
    const { values, shape } = tensors.get(name)!;
    return matrix(shape[0]!, shape[1] ?? 1, Array.from(values, Number));
  };

  const cases = golden.cases as FrechetCase[];
  test.each(cases)("$name: the distance is the recorded one, from samples and from covariances", (expected) => {
    const { name } = expected;
    const wanted = (expected["from samples"] ?? expected["closed form"])!;
    const tolerance = Math.max(1e-6 * wanted, 1e-6);
    if (tensors.has(`${name}.x`)) {
      const [x, y] = [read(`${name}.x`), read(`${name}.y`)];
      expect(Math.abs(frechetOfSamples(x, y) - wanted)).toBeLessThanOrEqual(tolerance);
      // covariances of the samples, made without the samples' help
      const [a, b] = [x, y].map((m) => gaussianOfMoments(meanOf(m), covarianceOf(m)));
      expect(Math.abs(frechetDistance(a!, b!) - wanted)).toBeLessThanOrEqual(tolerance);
      // and one of each
      expect(Math.abs(frechetDistance(gaussianOfSamples(x), b!) - wanted)).toBeLessThanOrEqual(tolerance);
    }
    if (tensors.has(`${name}.cov1`)) {
      const moments = (n: number) => gaussianOfMoments(read(`${name}.mean${n}`).data, read(`${name}.cov${n}`));
      expect(Math.abs(frechetDistance(moments(1), moments(2)) - wanted)).toBeLessThanOrEqual(tolerance);
    }
  });

  test("features that are not finite, a single sample and other numbers of features are refused", () => {
    const good = matrix(3, 2, [0, 1, 2, 3, 4, 6]);
    expect(() => gaussianOfSamples(matrix(2, 2, [1, 2, Number.NaN, 4]))).toThrow("feature 0 of sample 1 is NaN");
    expect(() => gaussianOfSamples(matrix(1, 2, [1, 2]))).toThrow("1 samples have no covariance");
    expect(() => frechetOfSamples(good, matrix(3, 1, [1, 2, 4]))).toThrow("2 and 1 features");
    expect(() => gaussianOfMoments([1, 2], matrix(1, 1, [1]))).toThrow("a mean of 2 features");
    expect(() => featureMatrix([Float32Array.of(1, 2), Float32Array.of(1)])).toThrow("features of 2 and of 1 numbers");
  });

  test("from few samples of one distribution it is far from 0, as recorded", () => {
    const random = seededRandom(4);
    const draw = (n: number): Matrix64 => {
      const values = gaussians(random, n * 64);
      return matrix(
        n,
        64,
        values.map((v, i) => v / Math.sqrt((i % 64) + 1)),
      );
    };
    const recorded = golden.bias["by N"] as Record<string, number>;
    for (const n of [32, 128, 256]) {
      const distances = Array.from({ length: 10 }, () => frechetOfSamples(draw(n), draw(n)));
      const mean = distances.reduce((a, b) => a + b, 0) / distances.length;
      expect(mean / recorded[n]!).toBeGreaterThan(0.93);
      expect(mean / recorded[n]!).toBeLessThan(1.07);
    }
  });
});

describe("kernel distances", async () => {
  const { kid, cmmd } = goldenJson("evaluate/mmd/expected.json");
  const tensors = await goldenTensors("evaluate/mmd/inputs.safetensors");
  const read = async (name: string): Promise<Matrix64> => {
    const { data, dims } = await tensors.floats(name);
    return matrix(dims[0]!, dims[1]!, data);
  };
  const [x, y, near] = [await read("x"), await read("y"), await read("near")];

  test("KID of whole sets and of given subsets is the recorded one", () => {
    expect(kernelDistance(x, y)).toBeCloseTo(kid["x,y"], 9);
    expect(kernelDistance(x, near)).toBeCloseTo(kid["x,near"], 9);
    expect(kernelDistances(x, y, kid.subsets)).toMatchGolden(kid["of subsets"], 1e-9);
  });

  test("CMMD is the recorded one", () => {
    expect(clipMmd(x, y)).toBeCloseTo(cmmd["x,y"], 9);
    expect(clipMmd(x, near)).toBeCloseTo(cmmd["x,near"], 9);
    expect(clipMmd(x, x)).toBe(0);
  });

  test("KID of one distribution is 0 on average, for few samples too", () => {
    const random = seededRandom(9);
    const draw = () => matrix(30, 16, gaussians(random, 30 * 16));
    const values = Array.from({ length: 300 }, () => kernelDistance(draw(), draw()));
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const error = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0)) / values.length;
    expect(Math.abs(mean)).toBeLessThan(3 * error);
  });

  test("random subsets repeat no sample, are the same each time, and KID over them is near the whole set's", () => {
    const subsets = randomSubsets(40, 33);
    expect(subsets).toHaveLength(100);
    for (const { x: some, y: others } of subsets) expect([new Set(some).size, new Set(others).size]).toEqual([16, 16]);
    expect(randomSubsets(40, 33)).toEqual(subsets);
    expect(randomSubsets(40, 33, { seed: 1 })).not.toEqual(subsets);
    const { value, deviation } = kernelDistanceOfSubsets(x, y);
    expect(Math.abs(value - kid["x,y"])).toBeLessThan((4 * deviation) / 10);
  });

  test("sets that are too small are refused", () => {
    expect(() => kernelDistance(matrix(1, 2, [1, 2]), matrix(2, 2, [1, 2, 3, 4]))).toThrow("at least two samples");
    expect(() => randomSubsets(5, 40, { size: 6 })).toThrow("subsets of 6 from 5 and 40 samples");
  });
});

test("face diversity compares pictures of one person and prompt, and none without a face", () => {
  const pictures = [
    { person: 0, prompt: 0 },
    { person: 0, prompt: 0 },
    null,
    { person: 0, prompt: 1 },
    { person: 1, prompt: 0 },
    { person: 0, prompt: 0 },
  ];
  expect(diversityPairs(pictures)).toEqual([
    [0, 1],
    [0, 5],
    [1, 5],
  ]);
  expect(diversityPairs(pictures, "person")).toHaveLength(6);
  expect(pairsOf([7])).toEqual([]);
});

/** Mean of the rows. */
const meanOf = ({ rows, columns, data }: Matrix64): number[] =>
  Array.from(
    { length: columns },
    (_, j) => Array.from({ length: rows }, (_, i) => data[i * columns + j]!).reduce((a, b) => a + b, 0) / rows,
  );

/** Covariance of the rows over N - 1, by its definition. */
function covarianceOf(m: Matrix64): Matrix64 {
  const { rows, columns, data } = m;
  const mean = meanOf(m);
  const out = matrix(columns, columns);
  for (let j = 0; j < columns; j++)
    for (let k = 0; k < columns; k++) {
      let sum = 0;
      for (let i = 0; i < rows; i++) sum += (data[i * columns + j]! - mean[j]!) * (data[i * columns + k]! - mean[k]!);
      out.data[j * columns + k] = sum / (rows - 1);
    }
  return out;
}
