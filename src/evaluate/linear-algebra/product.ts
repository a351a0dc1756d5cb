import { type Matrix64, matrix } from "./matrix.ts";

/** Rows of a product, from row `first` on. */
export interface ProductRows {
  readonly first: number;
  readonly count: number;
  /** First column that is computed. */
  readonly from: number;
  /** [count, b.rows]; columns before `from` are not set. */
  readonly values: Float64Array;
}

const BLOCK = 64;

/** a·bᵀ, computed whole. */
export function timesTransposed(a: Matrix64, b: Matrix64): Matrix64 {
  const out = matrix(a.rows, b.rows);
  for (const { first, count, values } of productRows(a, b)) out.data.set(values.subarray(0, count * b.rows), first * b.rows);
  return out;
}

/** a·aᵀ */
export function gram(a: Matrix64): Matrix64 {
  const n = a.rows;
  const out = matrix(n, n);
  for (const { first, count, values } of productRows(a, a, true))
    for (let i = 0; i < count; i++)
      for (let j = first + i; j < n; j++) {
        const value = values[i * n + j]!;
        out.data[(first + i) * n + j] = value;
        out.data[j * n + first + i] = value;
      }
  return out;
}

/**
 * Computes a·bᵀ some rows at a time, so that a product of any size needs little memory. The array of values is used again for the next rows.
 * @param upper whether columns before the first row may be left out, for a product that is symmetric
 */
export function* productRows(a: Matrix64, b: Matrix64, upper = false): Generator<ProductRows> {
  if (a.columns !== b.columns) throw new TypeError(`rows of ${a.columns} and of ${b.columns} numbers have no product`);
  const values = new Float64Array(Math.min(BLOCK, a.rows) * b.rows);
  for (let first = 0; first < a.rows; first += BLOCK) {
    const count = Math.min(BLOCK, a.rows - first);
    const from = upper ? first : 0;
    multiplyBlock(a, first, count, b, from, values);
    yield { first, count, from, values };
  }
}

/** Two rows by four at once: as many sums as a processor has registers for. */
function multiplyBlock(a: Matrix64, first: number, count: number, b: Matrix64, from: number, out: Float64Array): void {
  const width = a.columns;
  const [x, y] = [a.data, b.data];
  const columns = b.rows;
  let j = from;
  for (; j + 4 <= columns; j += 4) {
    const [q0, q1, q2, q3] = [j * width, (j + 1) * width, (j + 2) * width, (j + 3) * width];
    let i = 0;
    for (; i + 2 <= count; i += 2) {
      const p0 = (first + i) * width;
      const p1 = p0 + width;
      let [s00, s01, s02, s03, s10, s11, s12, s13] = [0, 0, 0, 0, 0, 0, 0, 0];
      for (let k = 0; k < width; k++) {
        const x0 = x[p0 + k]!;
        const x1 = x[p1 + k]!;
        const y0 = y[q0 + k]!;
        s00 += x0 * y0;
        s10 += x1 * y0;
        const y1 = y[q1 + k]!;
        s01 += x0 * y1;
        s11 += x1 * y1;
        const y2 = y[q2 + k]!;
        s02 += x0 * y2;
        s12 += x1 * y2;
        const y3 = y[q3 + k]!;
        s03 += x0 * y3;
        s13 += x1 * y3;
      }
      out.set([s00, s01, s02, s03], i * columns + j);
      out.set([s10, s11, s12, s13], (i + 1) * columns + j);
    }
    for (; i < count; i++) for (let n = 0; n < 4; n++) out[i * columns + j + n] = dotRows(a, first + i, b, j + n);
  }
  for (; j < columns; j++) for (let i = 0; i < count; i++) out[i * columns + j] = dotRows(a, first + i, b, j);
}

function dotRows(a: Matrix64, i: number, b: Matrix64, j: number): number {
  const width = a.columns;
  let sum = 0;
  for (let k = 0; k < width; k++) sum += a.data[i * width + k]! * b.data[j * width + k]!;
  return sum;
}
