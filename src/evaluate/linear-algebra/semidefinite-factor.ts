import { type Matrix64, matrix } from "./matrix.ts";

/**
 * F with FᵀF = C for a covariance C, singular or not: Cholesky's decomposition, the largest remaining variance first, until nothing but rounding is
 * left. Higham 1990, "Analysis of the Cholesky decomposition of a semi-definite matrix", section 3.
 * @param c symmetric, [D, D]
 * @returns [rank, D]
 * @throws RangeError if C has a variance below 0
 */
export function semidefiniteFactor(c: Matrix64): Matrix64 {
  const n = c.rows;
  const left = Float64Array.from({ length: n }, (_, i) => c.data[i * n + i]!);
  const largest = Math.max(0, ...left);
  const nothing = n * Number.EPSILON * largest;
  if (left.some((variance) => !(variance >= -nothing)))
    throw new RangeError("a covariance has a variance below 0, or one that is not a number");
  const rowsOfL = new Float64Array(n * n); // row i is row i of L, C = L·Lᵀ
  const done = new Uint8Array(n);
  let rank = 0;
  for (; rank < n; rank++) {
    let pivot = -1;
    for (let i = 0; i < n; i++) if (done[i] === 0 && (pivot < 0 || left[i]! > left[pivot]!)) pivot = i;
    if (pivot < 0 || left[pivot]! <= nothing) break;
    const root = Math.sqrt(left[pivot]!);
    done[pivot] = 1;
    const p = pivot * n;
    rowsOfL[p + rank] = root;
    for (let i = 0; i < n; i++) {
      if (done[i] === 1) continue;
      const at = i * n;
      let sum = 0;
      for (let k = 0; k < rank; k++) sum += rowsOfL[at + k]! * rowsOfL[p + k]!;
      const value = (c.data[at + pivot]! - sum) / root;
      rowsOfL[at + rank] = value;
      left[i] = left[i]! - value * value;
    }
  }
  const out = matrix(rank, n);
  for (let i = 0; i < n; i++) for (let k = 0; k < rank; k++) out.data[k * n + i] = rowsOfL[i * n + k]!;
  return out;
}
