// @ts-check
// Plain JavaScript, because the training workers import it and Node starts those from files that it can run as they are.
import { withKernels } from "./kernels.js";

/**
 * @typedef {object} AdamWState numbers of the same parameters
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
 * Updates parameters by AdamW: Loshchilov and Hutter 2017 (arXiv 1711.05101), algorithm 2, with the arithmetic of torch.optim.AdamW. It is not
 * an ONNX graph, whose fifteen operations would each pass over memory.
 * @param {AdamWState} state
 * @param {Float32Array} gradients
 * @param {number} scale factor of the gradients, from clipping
 * @param {AdamWOptions} options
 */
export function adamw({ params, m, v }, gradients, scale, { lr, weightDecay, beta1, beta2, eps, step }) {
  const keep = 1 - lr * weightDecay;
  const size = lr / (1 - beta1 ** step);
  const perRoot = 1 / Math.sqrt(1 - beta2 ** step);
  withKernels([params, m, v, gradients], [0, 1, 2], (kernels, n, p, mean, square, g) =>
    kernels.adamw(p, mean, square, g, n, scale, keep, size, perRoot, beta1, 1 - beta1, beta2, 1 - beta2, eps),
  );
}

/**
 * ema = decay · ema + (1 - decay) · params
 * @param {Float32Array} ema
 * @param {Float32Array} params
 * @param {number} decay
 */
export function average(ema, params, decay) {
  withKernels([ema, params], [0], (kernels, n, mean, values) => kernels.approach(mean, values, n, 1 - decay));
}

/**
 * into = into + values
 * @param {Float32Array} into
 * @param {Float32Array} values
 */
export function accumulate(into, values) {
  withKernels([into, values], [0], (kernels, n, sum, more) => kernels.blend(sum, more, n, 1, 1));
}

/**
 * into = into + all others
 * @param {Float32Array} into
 * @param {readonly Float32Array[]} others
 * @returns {number} sum of the squares of the result; NaN or infinite if one of its values is
 */
export function addGradients(into, others) {
  const last = others.at(-1);
  for (const values of others.slice(0, -1)) accumulate(into, values);
  let squares = 0;
  withKernels(last === undefined ? [into] : [into, last], last === undefined ? [] : [0], (kernels, n, sum, more) => {
    if (last !== undefined) kernels.blend(sum, more, n, 1, 1);
    squares += kernels.sumOfSquares(sum, n);
  });
  return squares;
}
