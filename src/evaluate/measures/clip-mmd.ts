import { type Matrix64, rowsOfLengthOne } from "../linear-algebra/matrix.ts";
import { productRows } from "../linear-algebra/product.ts";

const SIGMA = 10;
const SCALE = 1000;

/**
 * CMMD: Jayasumana et al. 2024 (arXiv 2401.09603), section 5; the squared MMD of CLIP's features, as unit vectors, with the kernel exp(-|a - b|² / 2σ²), σ = 10, the
 * diagonal included, times 1,000. @param x [N, features] @param y [M, features]
 */
export function clipMmd(x: Matrix64, y: Matrix64): number {
  const [a, b] = [rowsOfLengthOne(x), rowsOfLengthOne(y)];
  return SCALE * (meanLoss(a, b) * 2 - meanLoss(a, a) - meanLoss(b, b));
}

/** Mean of 1 - kernel over all pairs: small numbers, whose difference loses no digits. */
function meanLoss(a: Matrix64, b: Matrix64): number {
  let sum = 0;
  for (const { count, values } of productRows(a, b))
    for (let i = 0; i < count * b.rows; i++) sum -= Math.expm1(-Math.max(0, 2 - 2 * values[i]!) / (2 * SIGMA ** 2));
  return sum / (a.rows * b.rows);
}
