import { add, mul } from "../../../graph/ops/elementwise.ts";
import { matmul } from "../../../graph/ops/matrix.ts";
import { constant } from "../../../graph/ops/source.ts";
import type { Tensor } from "../../../graph/tensor.ts";

const STEPS = 5;
/** Coefficients of a polynomial of fifth degree that moves singular values between 0 and 1 towards 1, small ones as fast as possible. */
const [LINEAR, CUBIC, QUINTIC] = [3.4445, -4.775, 2.0315];
/** Ratio of columns to rows above which iterating on Gram matrices takes less work than on the matrix itself. */
const LONG = 2;

/** The factor of a matrix in one iteration, from its Gram matrix [n, n]. */
function factorOf(gram: Tensor, n: number): Tensor {
  const unchanged = constant(
    Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? LINEAR : 0)),
    [n, n],
  );
  return add(add(mul(gram, CUBIC), matmul(gram, gram, { scale: QUINTIC })), unchanged);
}

/**
 * Orthogonalises a matrix: approximates the nearest matrix whose singular values are all 1 (results are between 0.7 and 1.2), by Muon's
 * Newton-Schulz iteration: Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon/).
 * @param x [rows, columns] with a Frobenius norm of at most 1
 */
export function orthogonalise(x: Tensor): Tensor {
  const [rows, columns] = x.shape as [number, number];
  const tall = rows > columns;
  const gramOf = (y: Tensor): Tensor => matmul(y, y, tall ? { transA: true } : { transB: true });
  const times = (factor: Tensor, y: Tensor): Tensor => (tall ? matmul(y, factor) : matmul(factor, y));
  const n = Math.min(rows, columns);
  if (rows * columns < LONG * n * n) {
    for (let i = 0; i < STEPS; i++) x = times(factorOf(gramOf(x), n), x);
    return x;
  }
  // All factors are polynomials of the first Gram matrix, so the long matrix is needed only at the beginning and at the end.
  const gram = gramOf(x);
  let product = factorOf(gram, n);
  for (let i = 1; i < STEPS; i++) product = matmul(factorOf(matmul(matmul(product, gram), product), n), product);
  return times(product, x);
}
