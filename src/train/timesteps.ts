/** Which timesteps training sees: the place in the schedule, from 0 to 1, below which a share of them lies. */
export type TimestepQuantile = (share: number) => number;

/** A share u of all lies below u^power: below 1, late timesteps come more often; 1 is Ho et al.'s (2020) uniform choice. */
export const powerTimesteps =
  (power: number): TimestepQuantile =>
  (share) =>
    share ** power;

const CELLS = 4096;

/**
 * Part of the timesteps uniform, part logit-normal: Esser et al. 2024 (arXiv 2403.03206), section 3.1, whose density is zero at both ends.
 * A small picture is lost in less noise than a large one (section 5.3.2 there), so that `middle` belongs the lower, the smaller it is.
 * @param middle the median of the logit-normal part, in (0, 1)
 * @param uniform share of the uniform part, above 0
 */
export function logitNormalTimesteps({
  middle,
  spread = 1,
  uniform,
}: {
  readonly middle: number;
  readonly spread?: number;
  readonly uniform: number;
}): TimestepQuantile {
  const logit = (x: number): number => Math.log(x / (1 - x));
  const normal = Float64Array.from({ length: CELLS }, (_, i) => {
    const x = (i + 0.5) / CELLS;
    return Math.exp(-(((logit(x) - logit(middle)) / spread) ** 2) / 2) / (x * (1 - x));
  });
  const sum = normal.reduce((a, b) => a + b, 0);
  const below = new Float64Array(CELLS + 1); // share of all below each cell
  for (const [i, density] of normal.entries()) below[i + 1] = below[i]! + uniform / CELLS + ((1 - uniform) * density) / sum;
  return (share) => {
    let [low, high] = [0, CELLS];
    while (high - low > 1) {
      const half = (low + high) >> 1;
      if (below[half]! <= share) low = half;
      else high = half;
    }
    return Math.min((low + (share - below[low]!) / (below[high]! - below[low]!)) / CELLS, 1 - 1 / CELLS / 2);
  };
}
