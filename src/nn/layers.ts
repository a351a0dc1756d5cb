import * as convolution from "../graph/ops/convolution.ts";
import * as matrix from "../graph/ops/matrix.ts";
import * as norms from "../graph/ops/normalise.ts";
import { fixedSize, type Tensor } from "../graph/tensor.ts";
import type { Weights } from "../graph/weights.ts";

export interface LinearOptions {
  readonly out: number;
  readonly bias?: boolean;
}

/**
 * y = x·Wᵀ + b over the last axis.
 * @param x [..., in]
 * @param w holds `weight` [out, in] and, unless `bias` is false, `bias` [out]
 * @returns [..., out]
 */
export function linear(x: Tensor, w: Weights, { out, bias = true }: LinearOptions): Tensor {
  const width = fixedSize(x, -1);
  const init = { uniform: 1 / Math.sqrt(width) }; // torch.nn.Linear.reset_parameters
  const weight = w.get("weight", [out, width], init);
  return bias ? matrix.linear(x, weight, w.get("bias", [out], init)) : matrix.linear(x, weight);
}

export interface ConvOptions {
  readonly out: number;
  readonly kernel: number;
  readonly stride?: number;
  /** Zeros added on every side, or top, left, bottom, right. */
  readonly pad?: number | readonly [number, number, number, number];
  readonly bias?: boolean;
}

/**
 * Convolution over [B, C, H, W].
 * @param w holds `weight` [out, C, kernel, kernel] and, unless `bias` is false, `bias` [out]
 * @returns [B, out, H', W']
 */
export function conv2d(x: Tensor, w: Weights, { out, kernel, stride = 1, pad = 0, bias = true }: ConvOptions): Tensor {
  const channels = fixedSize(x, 1);
  const init = { uniform: 1 / Math.sqrt(channels * kernel * kernel) }; // torch.nn.Conv2d.reset_parameters
  const weight = w.get("weight", [out, channels, kernel, kernel], init);
  const pads = typeof pad === "number" ? ([pad, pad, pad, pad] as const) : pad;
  return convolution.conv2d(x, weight, bias ? w.get("bias", [out], init) : undefined, { stride, pads });
}

/** Group norm over [B, C, ...] in `groups` groups of channels; `w` holds `weight` and `bias` [C]. */
export function groupNorm(x: Tensor, w: Weights, { groups, eps = 1e-5 }: { groups: number; eps?: number }): Tensor {
  const channels = fixedSize(x, 1);
  return norms.groupNorm(x, w.get("weight", [channels], "ones"), w.get("bias", [channels]), groups, eps);
}

/** Layer norm over the last axis; `w` holds `weight` and `bias` [C]. */
export function layerNorm(x: Tensor, w: Weights, { eps = 1e-5 }: { eps?: number } = {}): Tensor {
  const channels = fixedSize(x, -1);
  return norms.layerNorm(x, w.get("weight", [channels], "ones"), w.get("bias", [channels]), eps);
}
