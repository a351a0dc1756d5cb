import { expect, test } from "vitest";
import { gaussians } from "../../core/random/gaussians.ts";
import { seededRandom } from "../../core/random/seeded-random.ts";
import { type Matrix64, matrix, transposeOf } from "./matrix.ts";
import { gram, timesTransposed } from "./product.ts";
import { semidefiniteFactor } from "./semidefinite-factor.ts";
import { singularValues } from "./singular-values.ts";

const random = seededRandom(77);
const scattered = (rows: number, columns: number): Matrix64 => matrix(rows, columns, gaussians(random, rows * columns));
const plain = (a: Matrix64, b: Matrix64): number[] =>
  Array.from({ length: a.rows * b.rows }, (_, n) => {
    const [i, j] = [Math.floor(n / b.rows), n % b.rows];
    return Array.from({ length: a.columns }, (_, k) => a.data[i * a.columns + k]! * b.data[j * b.columns + k]!).reduce(
      (x, y) => x + y,
      0,
    );
  });

test.each([
  [1, 1, 1],
  [3, 7, 5],
  [130, 9, 66],
  [65, 4, 3],
])("products of %d rows by %d over %d numbers are those of the definition", (n, m, width) => {
  const [a, b] = [scattered(n, width), scattered(m, width)];
  expect(timesTransposed(a, b).data).toMatchGolden(plain(a, b), 1e-12);
  expect(gram(a).data).toMatchGolden(plain(a, a), 1e-12);
});

test.each([
  [6, 6],
  [9, 4],
  [4, 9],
  [40, 33],
  [1, 1],
  [5, 1],
])("singular values of a %d x %d matrix that is built from known ones", (rows, columns) => {
  const count = Math.min(rows, columns);
  const known = Array.from({ length: count }, (_, i) => (i % 4 === 3 ? 0 : 1 / (i + 1)));
  const left = orthonormal(count, rows);
  const right = orthonormal(count, columns);
  for (let i = 0; i < count; i++) for (let j = 0; j < columns; j++) right.data[i * columns + j]! *= known[i]!;
  const found = singularValues(timesTransposed(transposeOf(left), transposeOf(right)));
  expect(Array.from(found).sort((a, b) => b - a)).toMatchGolden(
    [...known].sort((a, b) => b - a),
    1e-14,
  );
});

test("singular values do not change their matrix, and of 0 they are 0", () => {
  const a = scattered(4, 4);
  const before = a.data.slice();
  singularValues(a);
  expect(a.data).toEqual(before);
  expect(singularValues(matrix(3, 2))).toEqual(Float64Array.of(0, 0));
});

test("a factor of a covariance gives it again, and has as many rows as the covariance has rank", () => {
  for (const [rank, size] of [
    [5, 5],
    [3, 8],
    [1, 6],
  ] as const) {
    const c = gram(scattered(size, rank));
    const factor = semidefiniteFactor(c);
    expect(factor.rows).toBe(rank);
    expect(gram(transposeOf(factor)).data).toMatchGolden(c.data, 1e-12);
  }
  expect(semidefiniteFactor(matrix(3, 3)).rows).toBe(0);
});

test("what is no covariance is refused", () => {
  expect(() => semidefiniteFactor(matrix(2, 2, [1, 0, 0, -1]))).toThrow(RangeError);
  expect(() => semidefiniteFactor(matrix(1, 1, [Number.NaN]))).toThrow(RangeError);
});

/** Rows that are orthogonal and of length 1, by Gram and Schmidt. */
function orthonormal(count: number, width: number): Matrix64 {
  const out = scattered(count, width);
  const row = (i: number) => out.data.subarray(i * width, (i + 1) * width);
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, v, i) => sum + v * b[i]!, 0);
  for (let i = 0; i < count; i++) {
    for (let twice = 0; twice < 2; twice++)
      for (let j = 0; j < i; j++) {
        const share = dot(row(i), row(j));
        for (const [k, v] of row(j).entries()) row(i)[k]! -= share * v;
      }
    const length = Math.sqrt(dot(row(i), row(i)));
    for (const [k, v] of row(i).entries()) row(i)[k] = v / length;
  }
  return out;
}
