import { add } from "../../graph/ops/elementwise.ts";
import { reshape } from "../../graph/ops/layout.ts";
import { fixedSize, size, type Tensor } from "../../graph/tensor.ts";
import type { Weights } from "../../graph/weights.ts";
import { batchNorm, conv2d, linear, prelu } from "../../nn/layers.ts";
import type { ArcfaceConfig } from "./arcface-config.ts";

/** Side of the aligned face that recognisers of this family take, in pixels. */
export const ARCFACE_SIDE = 112;

/**
 * Vector of a face: the IResNet with which ArcFace was trained.
 *
 * @param x [B, 3, 112, 112] red, green, blue, (value - 127.5) / 127.5, aligned by the five points
 * @param w keys as in arcface_torch
 * @returns [B, features], not of unit length
 * @see Deng et al. 2018 (arXiv 1801.07698); deepinsight/insightface recognition/arcface_torch/backbones/iresnet.py
 */
export function arcface(x: Tensor, w: Weights, { stem, widths, units, features }: ArcfaceConfig): Tensor {
  let y = conv2d(x, w.at("conv1"), { out: stem, kernel: 3, pad: 1, bias: false });
  y = prelu(batchNorm(y, w.at("bn1")), w.at("prelu"));
  for (const [stage, count] of units.entries())
    for (let i = 0; i < count; i++) y = unit(y, w.at(`layer${stage + 1}`, i), widths[stage]!, i === 0 ? 2 : 1);
  y = batchNorm(y, w.at("bn2"));
  const flat = reshape(y, [size(y, 0), fixedSize(y, 1) * fixedSize(y, 2) * fixedSize(y, 3)]);
  return batchNorm(linear(flat, w.at("fc"), { out: features }), w.at("features"));
}

/** Residual unit with batch norm before its first convolution; the first of a stage halves the picture. */
function unit(x: Tensor, w: Weights, out: number, stride: 1 | 2): Tensor {
  let y = conv2d(batchNorm(x, w.at("bn1")), w.at("conv1"), { out, kernel: 3, pad: 1, bias: false });
  y = prelu(batchNorm(y, w.at("bn2")), w.at("prelu"));
  y = batchNorm(conv2d(y, w.at("conv2"), { out, kernel: 3, stride, pad: 1, bias: false }), w.at("bn3"));
  if (stride === 1) return add(y, x);
  const skip = conv2d(x, w.at("downsample", 0), { out, kernel: 1, stride, bias: false });
  return add(y, batchNorm(skip, w.at("downsample", 1)));
}
