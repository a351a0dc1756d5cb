/**
 * Blurs one channel by a Gaussian, cut off at 3 deviations; the border is continued by its last value.
 * @param plane [height, width]
 * @param deviation in pixels
 */
export function gaussianBlur(plane: Float32Array, width: number, height: number, deviation: number): Float32Array {
  if (deviation === 0) return plane;
  const reach = Math.ceil(3 * deviation);
  const weights = Float64Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * deviation ** 2)));
  const sum = weights.reduce((a, b) => a + b);
  const across = blurred(plane, { lines: height, length: width, step: 1, stride: width }, weights, sum);
  return blurred(across, { lines: width, length: height, step: width, stride: 1 }, weights, sum);
}

interface Lines {
  readonly lines: number;
  readonly length: number;
  /** From a pixel of a line to the next. */
  readonly step: number;
  /** From a line to the next. */
  readonly stride: number;
}

function blurred(plane: Float32Array, { lines, length, step, stride }: Lines, weights: Float64Array, sum: number): Float32Array {
  const reach = (weights.length - 1) / 2;
  const out = new Float32Array(plane.length);
  for (let line = 0; line < lines; line++)
    for (let at = 0; at < length; at++) {
      let total = 0;
      for (let k = -reach; k <= reach; k++) {
        const from = Math.min(length - 1, Math.max(0, at + k));
        total += weights[k + reach]! * plane[line * stride + from * step]!;
      }
      out[line * stride + at * step] = total / sum;
    }
  return out;
}
