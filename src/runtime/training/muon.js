// @ts-check
// Plain JavaScript, because the training workers import it and Node starts those from files that it can run as they are.

const TINY = 1e-7; // a matrix of zeros stays one

/**
 * Takes new gradients into their mean, and leaves in their place what is to be orthogonalised: the mean as the next gradient would move it
 * (Nesterov), at Frobenius norm 1. Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon/).
 * @param {Float32Array} mean
 * @param {Float32Array} gradients
 * @param {number} scale what gradients are multiplied by first
 * @param {number} from
 * @param {number} to
 * @param {number} momentum
 */
export function direction(mean, gradients, scale, from, to, momentum) {
  const rest = (1 - momentum) * scale;
  let squares = 0;
  for (let i = from; i < to; i++) {
    const fresh = rest * /** @type {number} */ (gradients[i]);
    const kept = momentum * /** @type {number} */ (mean[i]) + fresh;
    const ahead = momentum * kept + fresh;
    mean[i] = kept;
    gradients[i] = ahead;
    squares += ahead * ahead;
  }
  const unit = 1 / (Math.sqrt(squares) + TINY);
  for (let i = from; i < to; i++) gradients[i] = /** @type {number} */ (gradients[i]) * unit;
}

/** AdamW's steps have about this root mean square. */
const USUAL_STEP = 0.2;

/**
 * Decays a matrix and moves it along orthogonal directions, so far that its numbers change as by AdamW: Liu et al. 2025 (arXiv 2502.16982), equation 4.
 * @param {Float32Array} params
 * @param {Float32Array} directions of the matrix alone
 * @param {import("./shares.ts").Matrix} matrix
 * @param {{ lr: number, weightDecay: number }} options
 */
export function shrinkAndMove(params, directions, { offset, length, rows, columns }, { lr, weightDecay }) {
  const keep = 1 - lr * weightDecay;
  const step = lr * USUAL_STEP * Math.sqrt(Math.max(rows, columns));
  for (let i = 0; i < length; i++)
    params[offset + i] = keep * /** @type {number} */ (params[offset + i]) - step * /** @type {number} */ (directions[i]);
}
