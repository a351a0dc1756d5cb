import * as activation from "../graph/ops/activation.ts";
import * as convolution from "../graph/ops/convolution.ts";
import { depthwiseConv } from "../graph/ops/depthwise.ts";
import { add, div, mul, sqrt, sub } from "../graph/ops/elementwise.ts";
import { reshape } from "../graph/ops/layout.ts";
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

/**
 * Convolution over [B, C, H, W] in which each channel has a kernel of its own.
 * @param w holds `weight` [C, 1, kernel, kernel] and `bias` [C]
 * @returns [B, C, H', W']
 */
export function depthwiseConv2d(
  x: Tensor,
  w: Weights,
  { kernel, stride = 1, pad = 0 }: Omit<ConvOptions, "out" | "bias">,
): Tensor {
  const channels = fixedSize(x, 1);
  const init = { uniform: 1 / kernel }; // torch.nn.Conv2d.reset_parameters with a group for each channel
  const weight = w.get("weight", [channels, 1, kernel, kernel], init);
  const pads = typeof pad === "number" ? ([pad, pad, pad, pad] as const) : pad;
  return depthwiseConv(x, weight, w.get("bias", [channels], init), { stride, pads });
}

/** Batch norm in use: over axis 1 with means and variances from training; `w` holds `weight`, `bias`, `running_mean` and `running_var` [C]. */
export function batchNorm(x: Tensor, w: Weights, { eps = 1e-5 }: { eps?: number } = {}): Tensor {
  const channels = fixedSize(x, 1);
  const shape = [channels, ...x.shape.slice(2).map(() => 1)];
  const spread = sqrt(add(w.get("running_var", [channels], "ones"), eps));
  const scale = div(w.get("weight", [channels], "ones"), spread);
  const shift = sub(w.get("bias", [channels]), mul(w.get("running_mean", [channels]), scale));
  return add(mul(x, reshape(scale, shape)), reshape(shift, shape));
}

/** x where it is above 0, else x times the slope of its channel; `w` holds `weight` [C]. */
export function prelu(x: Tensor, w: Weights): Tensor {
  const channels = fixedSize(x, 1);
  const shape = [channels, ...x.shape.slice(2).map(() => 1)];
  return activation.prelu(x, reshape(w.get("weight", [channels], { uniform: 0.25 }), shape));
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
