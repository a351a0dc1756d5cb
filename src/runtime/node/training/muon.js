// @ts-check
// Plain JavaScript, because the training workers import it and Node starts those from files that it can run as they are.

import { withKernels } from "./kernels.js";

const TINY = 1e-7; // avoids a division by zero for a matrix of zeros

/**
 * Updates the mean of a matrix's gradients, and replaces the gradients by the matrix to orthogonalise: the mean with Nesterov momentum, scaled
 * to Frobenius norm 1. Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon/).
 * @param {Float32Array} mean
 * @param {Float32Array} gradients
 * @param {number} scale factor of the gradients, applied first
 * @param {number} momentum
 */
export function direction(mean, gradients, scale, momentum) {
  const rest = (1 - momentum) * scale;
  let squares = 0;
  withKernels([mean, gradients], [0, 1], (kernels, n, means, ahead) => {
    kernels.direction(means, ahead, n, momentum, rest);
    squares += kernels.sumOfSquares(ahead, n);
  });
  const unit = 1 / (Math.sqrt(squares) + TINY);
  withKernels([gradients], [0], (kernels, n, ahead) => kernels.blend(ahead, ahead, n, unit, 0));
}

/** Approximate root mean square of AdamW's steps. */
const USUAL_STEP = 0.2;

/**
 * Decays a matrix and moves it along orthogonal directions by the length of a typical AdamW step: Liu et al. 2025 (arXiv 2502.16982), equation 4.
 * @param {Float32Array} params parameters of the matrix
 * @param {Float32Array} directions
 * @param {Pick<import("./shares.ts").Matrix, "rows" | "columns">} matrix
 * @param {{ lr: number, weightDecay: number }} options
 */
export function shrinkAndMove(params, directions, { rows, columns }, { lr, weightDecay }) {
  const keep = 1 - lr * weightDecay;
  const step = lr * USUAL_STEP * Math.sqrt(Math.max(rows, columns));
  withKernels([params, directions], [0], (kernels, n, into, along) => kernels.blend(into, along, n, keep, -step));
}
