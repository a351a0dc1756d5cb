import { type Matrix64, transposeOf } from "./matrix.ts";

/**
 * Singular values, each with an error of about the largest times the machine's precision: Householder's reduction to two diagonals, and the eigenvalues of
 * the symmetric matrix of twice the size that has these beside its diagonal. Golub and Kahan 1965 (SIAM Journal on Numerical Analysis 2).
 * @returns in no order, as many as the shorter side
 */
export function singularValues(a: Matrix64): Float64Array {
  const tall = a.rows >= a.columns ? { ...a, data: a.data.slice() } : transposeOf(a);
  const { diagonal, beside } = bidiagonal(tall);
  const n = tall.columns;
  const off = new Float64Array(2 * n); // d0 e0 d1 e1 …
  for (let i = 0; i < n; i++) [off[2 * i], off[2 * i + 1]] = [diagonal[i]!, beside[i]!];
  const eigenvalues = tridiagonalEigenvalues(new Float64Array(2 * n), off);
  return eigenvalues.sort().slice(n).map(Math.abs);
}

/**
 * Reduces a matrix with at least as many rows as columns to an upper bidiagonal one by reflections from both sides. The two updates of a step are each
 * made in the pass over the matrix that needs their result. Overwrites `a`.
 */
function bidiagonal({ rows, columns, data }: Matrix64): { readonly diagonal: Float64Array; readonly beside: Float64Array } {
  const [diagonal, beside] = [new Float64Array(columns), new Float64Array(columns)];
  const [u, x] = [new Float64Array(rows), new Float64Array(rows)];
  const [v, w] = [new Float64Array(columns), new Float64Array(columns)];
  for (let k = 0; k < columns; k++) {
    // the last step's reflection from the right is still due: rows less x·vᵀ; first in this column, which makes the next reflection
    const due = v[k]!;
    for (let i = k; i < rows; i++) {
      const at = i * columns + k;
      data[at] = data[at]! - x[i]! * due;
      u[i] = data[at]!;
    }
    const left = reflection(u, k);
    diagonal[k] = left.head;
    w.fill(0);
    for (let i = k; i < rows; i++) {
      const [xi, ui, at] = [x[i]!, u[i]!, i * columns];
      for (let j = k + 1; j < columns; j++) {
        const value = data[at + j]! - xi * v[j]!;
        data[at + j] = value;
        w[j] = w[j]! + ui * value;
      }
    }
    for (let j = k + 1; j < columns; j++) w[j] = w[j]! * left.factor;
    v.fill(0);
    for (let j = k + 1; j < columns; j++) v[j] = data[k * columns + j]! - u[k]! * w[j]!;
    const right = k + 1 < columns ? reflection(v, k + 1) : { head: 0, factor: 0 };
    beside[k] = right.head;
    for (let i = k + 1; i < rows; i++) {
      const [ui, at] = [u[i]!, i * columns];
      let sum = 0;
      for (let j = k + 1; j < columns; j++) {
        const value = data[at + j]! - ui * w[j]!;
        data[at + j] = value;
        sum += value * v[j]!;
      }
      x[i] = sum * right.factor;
    }
  }
  return { diagonal, beside };
}

/**
 * The reflection 1 - factor·u·uᵀ that leaves only the first element of a vector; `u` becomes its direction, from `start` on.
 * @returns the first element afterwards, and the factor
 */
function reflection(u: Float64Array, start: number): { readonly head: number; readonly factor: number } {
  let largest = 0;
  for (let i = start; i < u.length; i++) largest = Math.max(largest, Math.abs(u[i]!));
  if (largest === 0) return { head: 0, factor: 0 };
  let sum = 0;
  for (let i = start; i < u.length; i++) sum += (u[i]! / largest) ** 2;
  const size = largest * Math.sqrt(sum);
  const first = u[start]!;
  const head = first > 0 ? -size : size;
  u[start] = first - head;
  return { head, factor: 1 / (size * (size + Math.abs(first))) };
}

/**
 * Eigenvalues of a symmetric tridiagonal matrix by QL with implicit shifts: Dubrulle, Martin and Wilkinson 1968 (Numerische Mathematik 12).
 * @param diagonal becomes the eigenvalues
 * @param off off[i] lies between i and i + 1; the last is not used. Overwritten
 */
export function tridiagonalEigenvalues(diagonal: Float64Array, off: Float64Array): Float64Array {
  const n = diagonal.length;
  let scale = 0;
  for (let i = 0; i < n; i++) scale = Math.max(scale, Math.abs(diagonal[i]!), i + 1 < n ? Math.abs(off[i]!) : 0);
  const small = Number.EPSILON * scale * 0.5;
  for (let l = 0; l < n; l++) {
    for (let turns = 0; ; turns++) {
      let m = l;
      while (m + 1 < n && Math.abs(off[m]!) > small) m++;
      if (m === l) break;
      if (turns === 100) throw new Error("eigenvalues do not converge");
      let g = (diagonal[l + 1]! - diagonal[l]!) / (2 * off[l]!);
      let r = Math.hypot(g, 1);
      g = diagonal[m]! - diagonal[l]! + off[l]! / (g + (g >= 0 ? r : -r));
      let [s, c, p] = [1, 1, 0];
      let i = m - 1;
      for (; i >= l; i--) {
        const f = s * off[i]!;
        const b = c * off[i]!;
        r = Math.sqrt(f * f + g * g);
        off[i + 1] = r;
        if (r === 0) {
          diagonal[i + 1] = diagonal[i + 1]! - p;
          off[m] = 0;
          break;
        }
        s = f / r;
        c = g / r;
        g = diagonal[i + 1]! - p;
        r = (diagonal[i]! - g) * s + 2 * c * b;
        p = s * r;
        diagonal[i + 1] = g + p;
        g = c * r - b;
      }
      if (r === 0 && i >= l) continue;
      diagonal[l] = diagonal[l]! - p;
      off[l] = g;
      off[m] = 0;
    }
  }
  return diagonal;
}
