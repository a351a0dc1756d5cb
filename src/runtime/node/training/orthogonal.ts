import { add, mul } from "../../../graph/ops/elementwise.ts";
import { matmul } from "../../../graph/ops/matrix.ts";
import { constant } from "../../../graph/ops/source.ts";
import type { Tensor } from "../../../graph/tensor.ts";

const STEPS = 5;
/** Of a polynomial of fifth degree that brings every singular value between 0 and 1 near 1, the small ones as fast as can be. */
const [LINEAR, CUBIC, QUINTIC] = [3.4445, -4.775, 2.0315];
/** Columns to a row from which there is less work in the Gram matrices than in the matrix itself. */
const LONG = 2;

/** What the matrix of this Gram matrix, [n, n], is multiplied by. */
function factorOf(gram: Tensor, n: number): Tensor {
  const unchanged = constant(
    Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? LINEAR : 0)),
    [n, n],
  );
  return add(add(mul(gram, CUBIC), matmul(gram, gram, { scale: QUINTIC })), unchanged);
}

/**
 * About the nearest matrix whose singular values are all 1: they come out between 0.7 and 1.2. By Newton-Schulz iteration, as Muon has it:
 * Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon/).
 * @param x [rows, columns] with a Frobenius norm of at most 1
 */
export function orthogonalised(x: Tensor): Tensor {
  const [rows, columns] = x.shape as [number, number];
  const tall = rows > columns;
  const gramOf = (y: Tensor): Tensor => matmul(y, y, tall ? { transA: true } : { transB: true });
  const times = (factor: Tensor, y: Tensor): Tensor => (tall ? matmul(y, factor) : matmul(factor, y));
  const n = Math.min(rows, columns);
  if (rows * columns < LONG * n * n) {
    for (let i = 0; i < STEPS; i++) x = times(factorOf(gramOf(x), n), x);
    return x;
  }
  // All factors are polynomials of the first Gram matrix, so that the long matrix is needed at the beginning and at the end alone.
  const gram = gramOf(x);
  let product = factorOf(gram, n);
  for (let i = 1; i < STEPS; i++) product = matmul(factorOf(matmul(matmul(product, gram), product), n), product);
  return times(product, x);
}
