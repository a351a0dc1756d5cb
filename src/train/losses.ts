import { add, div, exp, mul, sqrt, sub } from "../graph/ops/elementwise.ts";
import { permute, reduceSum, slice } from "../graph/ops/layout.ts";
import { matmul } from "../graph/ops/matrix.ts";
import { logSoftmax } from "../graph/ops/normalise.ts";
import { reduceMean } from "../graph/ops/reduce.ts";
import { constant } from "../graph/ops/source.ts";
import { fixedSize, type Tensor } from "../graph/tensor.ts";

/** Mean of weight · (x - y)². `weight` broadcasts. */
export function squaredError(x: Tensor, y: Tensor, weight?: Tensor): Tensor {
  const d = sub(x, y);
  const square = mul(d, d);
  return reduceMean(weight === undefined ? square : mul(square, weight));
}

/** Mean over rows of -Σ target · log softmax(logits), both [N, K]. */
export function crossEntropy(logits: Tensor, target: Tensor): Tensor {
  return mul(reduceSum(mul(logSoftmax(logits), target)), -1 / fixedSize(logits, 0));
}

/**
 * Cross-entropies of several classifications whose logits are concatenated.
 * @param logits [N, Σ sizes], `target` likewise, one-hot in each part
 * @returns the mean of all, and each
 */
export function classification(
  logits: Tensor,
  target: Tensor,
  sizes: readonly number[],
): { readonly loss: Tensor; readonly parts: readonly Tensor[] } {
  let from = 0;
  const parts = sizes.map((n) => {
    const part = crossEntropy(slice(logits, 1, from, n), slice(target, 1, from, n));
    from += n;
    return part;
  });
  return { loss: mul(parts.reduce(add), 1 / parts.length), parts };
}

/** Scales rows to length 1. @param x [N, C] */
export function unitRows(x: Tensor): Tensor {
  return div(x, sqrt(add(reduceSum(mul(x, x), [1], true), 1e-8)));
}

/**
 * InfoNCE in both directions: row i of `a` belongs to row i of `b` and to no other. van den Oord et al. 2018 (arXiv 1807.03748), equation 4, in the
 * form of Radford et al. 2021 (arXiv 2103.00020), figure 3.
 * @param a, b [N, C] of length 1
 * @param logScale logarithm of the factor on similarities, [1]
 * @param margin subtracted from the similarity of matching rows, which makes the task harder
 */
export function contrastive(a: Tensor, b: Tensor, logScale: Tensor, margin = 0): Tensor {
  const n = fixedSize(a, 0);
  const identity = constant(
    Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0)),
    [n, n],
  );
  const similarity = mul(sub(matmul(a, permute(b, [1, 0])), mul(identity, margin)), exp(logScale));
  const one = (logits: Tensor): Tensor => crossEntropy(logits, identity);
  return mul(add(one(similarity), one(permute(similarity, [1, 0]))), 0.5);
}
