// @ts-check
// Plain JavaScript, because the training workers import it and Node starts those from files that it can run as they are.

/**
 * @typedef {object} AdamWState
 * @property {Float32Array} params
 * @property {Float32Array} m mean of the gradients
 * @property {Float32Array} v mean of their squares
 */
/**
 * @typedef {object} AdamWOptions
 * @property {number} lr
 * @property {number} weightDecay
 * @property {number} beta1
 * @property {number} beta2
 * @property {number} eps
 * @property {number} step 1 for the first update
 */

/**
 * One update of the numbers from `from` to `to`: Loshchilov and Hutter 2017 (arXiv 1711.05101), algorithm 2, with the arithmetic of
 * torch.optim.AdamW. A loop over plain arrays: as ONNX nodes each of its fifteen operations would go through memory on its own.
 * @param {AdamWState} state
 * @param {Float32Array} grads
 * @param {number} scale what gradients are multiplied by first, as clipping asks
 * @param {number} from
 * @param {number} to
 * @param {AdamWOptions} options
 */
export function adamw({ params, m, v }, grads, scale, from, to, { lr, weightDecay, beta1, beta2, eps, step }) {
  const keep = 1 - lr * weightDecay;
  const stepSize = lr / (1 - beta1 ** step);
  const perRoot = 1 / Math.sqrt(1 - beta2 ** step);
  const [left1, left2] = [1 - beta1, 1 - beta2];
  for (let i = from; i < to; i++) {
    const g = /** @type {number} */ (grads[i]) * scale;
    const mean = beta1 * /** @type {number} */ (m[i]) + left1 * g;
    const square = beta2 * /** @type {number} */ (v[i]) + left2 * g * g;
    m[i] = mean;
    v[i] = square;
    params[i] = /** @type {number} */ (params[i]) * keep - (stepSize * mean) / (Math.sqrt(square) * perRoot + eps);
  }
}

/**
 * ema = decay · ema + (1 - decay) · params
 * @param {Float32Array} ema
 * @param {Float32Array} params
 * @param {number} decay
 * @param {number} from
 * @param {number} to
 */
export function average(ema, params, decay, from, to) {
  const rest = 1 - decay;
  for (let i = from; i < to; i++) ema[i] = decay * /** @type {number} */ (ema[i]) + rest * /** @type {number} */ (params[i]);
}

/**
 * into = into + values
 * @param {Float32Array} into
 * @param {Float32Array} values
 * @param {number} from
 * @param {number} to
 */
export function accumulate(into, values, from, to) {
  for (let i = from; i < to; i++) into[i] = /** @type {number} */ (into[i]) + /** @type {number} */ (values[i]);
}

/**
 * @param {Float32Array} values
 * @param {number} from
 * @param {number} to
 * @returns {number} NaN or infinite if a value is
 */
export function sumOfSquares(values, from, to) {
  let sum = 0;
  for (let i = from; i < to; i++) sum += /** @type {number} */ (values[i]) * /** @type {number} */ (values[i]);
  return sum;
}
