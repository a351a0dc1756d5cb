import { cos, mul, sin } from "../graph/ops/elementwise.ts";
import { concat, reshape } from "../graph/ops/layout.ts";
import { constant } from "../graph/ops/source.ts";
import type { Tensor } from "../graph/tensor.ts";

/**
 * Sinusoidal embedding, cosines first: Vaswani et al. 2017 (arXiv 1706.03762), section 3.5, with the frequencies of
 * diffusers' get_timestep_embedding (flip_sin_to_cos, downscale_freq_shift 0).
 * @param t [...]
 * @returns [..., dim]
 */
export function sinusoid(t: Tensor, dim: number): Tensor {
  const half = dim / 2;
  const frequencies = Array.from({ length: half }, (_, i) => Math.fround(Math.exp((-Math.log(10000) * i) / half)));
  const angles = mul(reshape(t, [...t.shape, 1]), constant(frequencies, [half]));
  return concat([cos(angles), sin(angles)], -1);
}
