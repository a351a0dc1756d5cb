import { reshape } from "../../graph/ops/layout.ts";
import { matmul } from "../../graph/ops/matrix.ts";
import { constant } from "../../graph/ops/source.ts";
import { fixedSize, type Tensor } from "../../graph/tensor.ts";

/**
 * Position embeddings of a grid for a picture of another size, by bicubic interpolation as PyTorch's `interpolate` computes it.
 * @param positions [1, grid², C]
 * @param antialiased whether the kernel has Pillow's parameter (-0.5) and widens where the grid shrinks, or PyTorch's (-0.75) and does not
 * @returns [1, rows · columns, C]
 */
export function interpolatePositions(
  positions: Tensor,
  grid: number,
  rows: number,
  columns: number,
  antialiased: boolean,
): Tensor {
  if (rows === grid && columns === grid) return positions;
  const width = fixedSize(positions, 2);
  const down = constant(bicubicWeights(grid, rows, antialiased), [rows, grid]);
  const across = constant(bicubicWeights(grid, columns, antialiased), [columns, grid]);
  const tall = reshape(matmul(down, reshape(positions, [grid, grid * width])), [rows, grid, width]);
  return reshape(matmul(across, tall), [1, rows * columns, width]);
}

/** Keys 1981, "Cubic convolution interpolation for digital image processing", eq. 4. */
function keys(distance: number, a: number): number {
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/** [to, from]: the shares of the given values in each new one. */
export function bicubicWeights(from: number, to: number, antialiased: boolean): number[] {
  const scale = from / to;
  const spread = antialiased ? Math.max(1, scale) : 1;
  const weights = Array<number>(to * from).fill(0);
  for (let i = 0; i < to; i++) {
    const middle = (i + 0.5) * scale - 0.5;
    const reach = 2 * spread;
    const taps: [at: number, weight: number][] = [];
    for (let at = Math.floor(middle - reach); at <= Math.ceil(middle + reach); at++)
      taps.push([at, keys((at - middle) / spread, antialiased ? -0.5 : -0.75)]);
    // with antialiasing what lies beyond the border does not count; without, the border stands for it
    const counted = antialiased ? taps.filter(([at]) => at >= 0 && at < from) : taps;
    const sum = counted.reduce((total, [, weight]) => total + weight, 0);
    for (const [at, weight] of counted) weights[i * from + Math.min(Math.max(at, 0), from - 1)]! += weight / sum;
  }
  return weights;
}
