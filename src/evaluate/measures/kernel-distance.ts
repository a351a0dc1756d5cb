import { seededRandom } from "../../core/random/seeded-random.ts";
import type { Matrix64 } from "../linear-algebra/matrix.ts";
import { productRows } from "../linear-algebra/product.ts";
import { mean } from "../statistics/moments.ts";

/** Indices of samples of two sets. */
export interface Subset {
  readonly x: readonly number[];
  readonly y: readonly number[];
}

/**
 * Kernel Inception distance: Bińkowski et al. 2018 (arXiv 1801.01401), section 4; the unbiased squared MMD with the kernel (a·b / features + 1)³. It is 0
 * on average for two sets of one distribution, whatever their sizes, so a single value may be below 0.
 * @param x [N, features], N at least 2
 * @param y [M, features], M at least 2
 */
export function kernelDistance(x: Matrix64, y: Matrix64): number {
  return kernelDistances(x, y, [{ x: range(x.rows), y: range(y.rows) }])[0]!;
}

/** {@link kernelDistance} of each subset. Kernels are computed once for all of them, some rows at a time. */
export function kernelDistances(x: Matrix64, y: Matrix64, subsets: readonly Subset[]): number[] {
  for (const { x: some, y: others } of subsets)
    if (some.length < 2 || others.length < 2) throw new RangeError("a kernel distance needs at least two samples of each set");
  const [ofX, ofY] = [subsets.map((s) => s.x), subsets.map((s) => s.y)];
  const within = (m: Matrix64, chosen: readonly (readonly number[])[]) => kernelSums(m, chosen, m, chosen, true);
  const [xx, yy, xy] = [within(x, ofX), within(y, ofY), kernelSums(x, ofX, y, ofY, false)];
  return subsets.map(({ x: some, y: others }, i) => {
    const [n, m] = [some.length, others.length];
    return xx[i]! / (n * (n - 1)) + yy[i]! / (m * (m - 1)) - (2 * xy[i]!) / (n * m);
  });
}

/** Mean and deviation (over N) of the distances of random subsets, as KID is reported. */
export function kernelDistanceOfSubsets(
  x: Matrix64,
  y: Matrix64,
  how: SubsetOptions = {},
): { readonly value: number; readonly deviation: number } {
  const values = kernelDistances(x, y, randomSubsets(x.rows, y.rows, how));
  const value = mean(values);
  return { value, deviation: Math.sqrt(mean(values.map((v) => (v - value) ** 2))) };
}

export interface SubsetOptions {
  /** Number of subsets; 100 unless given. */
  readonly count?: number;
  /** Samples in a subset; half of the smaller set, at most 500, unless given. */
  readonly size?: number;
  readonly seed?: number;
}

/** Random subsets without repetition within each. @throws RangeError if a set is smaller than a subset */
export function randomSubsets(
  n: number,
  m: number,
  { count = 100, size = Math.floor(Math.min(n, m, 1000) / 2), seed = 0 }: SubsetOptions = {},
): Subset[] {
  if (size > Math.min(n, m)) throw new RangeError(`subsets of ${size} from ${n} and ${m} samples`);
  const random = seededRandom(seed, n, m);
  const draw = (of: number): number[] => random.shuffle(range(of)).slice(0, size);
  return Array.from({ length: count }, () => ({ x: draw(n), y: draw(m) }));
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Sum of the kernel over pairs of chosen rows of each subset; of two different rows if the sets are one. */
function kernelSums(
  a: Matrix64,
  chosenA: readonly (readonly number[])[],
  b: Matrix64,
  chosenB: readonly (readonly number[])[],
  same: boolean,
): Float64Array {
  const sums = new Float64Array(chosenA.length);
  const subsetsOf = Array.from({ length: a.rows }, (): number[] => []);
  for (const [s, rows] of chosenA.entries()) for (const row of rows) subsetsOf[row]!.push(s);
  const ordered = same ? chosenB.map((rows) => [...rows].sort((p, q) => p - q)) : chosenB;
  for (const { first, count, from, values } of productRows(a, b, same)) {
    for (let i = 0; i < count; i++) {
      const at = i * b.rows;
      const row = first + i;
      if (subsetsOf[row]!.length === 0) continue;
      for (let j = same ? row + 1 : from; j < b.rows; j++) values[at + j] = (values[at + j]! / a.columns + 1) ** 3;
      for (const s of subsetsOf[row]!) {
        let sum = 0;
        for (const j of ordered[s]!) if (!same || j > row) sum += values[at + j]!;
        sums[s] = sums[s]! + (same ? 2 : 1) * sum; // the kernel is symmetric
      }
    }
  }
  return sums;
}
