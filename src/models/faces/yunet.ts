import { add, relu, sigmoid } from "../../graph/ops/elementwise.ts";
import { permute, reshape } from "../../graph/ops/layout.ts";
import { maxPool } from "../../graph/ops/max-pool.ts";
import { upsample } from "../../graph/ops/resample.ts";
import { size, type Tensor } from "../../graph/tensor.ts";
import type { Weights } from "../../graph/weights.ts";
import { conv2d, depthwiseConv2d } from "../../nn/layers.ts";

/** Pixels between the places at which each level looks for faces. */
export const YUNET_STRIDES = [8, 16, 32] as const;

/** What YuNet says at a level: each [1, places, n], places from left to right, then down. */
const HEADS = { cls: 1, obj: 1, bbox: 4, kps: 10 } as const;

export type YunetOutput = `${keyof typeof HEADS}_${(typeof YUNET_STRIDES)[number]}`;

/**
 * Finds faces with their five points: YuNet of the OpenCV zoo, as of March 2023.
 *
 * @param x [1, 3, height, width] blue, green, red from 0 to 255; both sides are multiples of 32
 * @param w keys as in libfacedetection.train: backbone, neck, bbox_head, batch norms being part of the convolutions
 * @returns cls, obj (certainty 0 to 1), bbox (middle, logarithm of the size), kps (points) of each stride
 * @see Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector"; ShiqiYu/libfacedetection.train mmdet/models/dense_heads/yunet_head.py
 */
export function yunet(x: Tensor, w: Weights): Record<YunetOutput, Tensor> {
  const backbone = w.at("backbone");
  let y = relu(conv2d(x, backbone.at("model0", "conv1"), { out: 16, kernel: 3, stride: 2, pad: 1 }));
  y = maxPool(separable(y, backbone.at("model0", "conv2"), 16), 2);
  y = twice(y, backbone.at("model1"), 16, 32);
  y = maxPool(twice(y, backbone.at("model2"), 32, 64), 2);
  const fine = twice(y, backbone.at("model3"), 64, 64);
  const middle = twice(maxPool(fine, 2), backbone.at("model4"), 64, 64);
  const coarse = twice(maxPool(middle, 2), backbone.at("model5"), 64, 64);

  const lateral = (t: Tensor, level: number): Tensor => separable(t, w.at("neck", "lateral_convs", level), 64);
  const levels = [fine, middle, coarse];
  levels[2] = lateral(coarse, 2);
  levels[1] = lateral(add(middle, upsample(levels[2], 2)), 1);
  levels[0] = lateral(add(fine, upsample(levels[1], 2)), 0);

  const found = {} as Record<YunetOutput, Tensor>;
  for (const [level, stride] of YUNET_STRIDES.entries())
    for (const [head, out] of Object.entries(HEADS)) {
      const said = separable(levels[level]!, w.at("bbox_head", `multi_level_${head}`, level), out, false);
      const places = reshape(permute(said, [0, 2, 3, 1]), [size(said, 0), -1, out]);
      found[`${head}_${stride}` as YunetOutput] = head === "cls" || head === "obj" ? sigmoid(places) : places;
    }
  return found;
}

const twice = (x: Tensor, w: Weights, first: number, out: number): Tensor =>
  separable(separable(x, w.at("conv1"), first), w.at("conv2"), out);

/** A product of each pixel's channels, then a kernel for each channel. */
function separable(x: Tensor, w: Weights, out: number, active = true): Tensor {
  const mixed = conv2d(x, w.at("conv1"), { out, kernel: 1 });
  const y = depthwiseConv2d(mixed, w.at("conv2"), { kernel: 3, pad: 1 });
  return active ? relu(y) : y;
}
