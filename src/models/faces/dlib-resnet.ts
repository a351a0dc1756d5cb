import * as convolution from "../../graph/ops/convolution.ts";
import { add, div, relu, sub } from "../../graph/ops/elementwise.ts";
import { pad, reshape, slice } from "../../graph/ops/layout.ts";
import { linear } from "../../graph/ops/matrix.ts";
import { maxPool } from "../../graph/ops/max-pool.ts";
import { reduceMean } from "../../graph/ops/reduce.ts";
import { averagePool } from "../../graph/ops/resample.ts";
import { constant } from "../../graph/ops/source.ts";
import { fixedSize, type Tensor } from "../../graph/tensor.ts";
import type { Weights } from "../../graph/weights.ts";

/** Side of the chip that the recogniser takes, in pixels. */
export const DLIB_SIDE = 150;
/** Numbers in the vector of a face. */
export const DLIB_WIDTH = 128;

/** Means of red, green, blue over dlib's training pictures. */
const MEANS = [122.782, 117.001, 104.298];

/** Stages: width, and how many units follow the one that halves the picture. */
const STAGES = [
  [64, 3],
  [128, 2],
  [256, 2],
] as const;

/**
 * Vector of a face, by which people are told apart: dlib's ResNet of 29 convolutions.
 *
 * @param x [B, 3, 150, 150] red, green, blue from 0 to 255, a chip as dlib cuts it
 * @param w keys as in face-api; `weight` has an offset for each row, `weight_offset`, beside the scale of its 8 bits
 * @returns [B, 128]; the same person where two are less than 0.6 apart
 * @see He et al. 2015 (arXiv 1512.03385); davisking/dlib examples/dnn_face_recognition_ex.cpp
 */
export function dlibResnet(x: Tensor, w: Weights): Tensor {
  let y = div(sub(x, constant(MEANS, [3, 1, 1])), 256);
  y = maxPool(relu(conv(y, w.at("conv32_down"), { out: 32, kernel: 7, stride: 2, pad: 0 })), 3, 2);
  for (let i = 1; i <= 3; i++) y = unit(y, w.at(`conv32_${i}`));
  for (const [out, count] of STAGES) {
    y = halvingUnit(y, w.at(`conv${out}_down`), out);
    for (let i = 1; i <= count; i++) y = unit(y, w.at(`conv${out}_${i}`));
  }
  y = halvingUnit(y, w.at("conv256_down_out"), 256);
  return linear(reduceMean(y, [2, 3]), shifted(w.at("fc"), [DLIB_WIDTH, 256]));
}

/** The weight of a layer: its numbers times their scale, which are read so, and the offset of each row. */
function shifted(w: Weights, shape: readonly number[]): Tensor {
  const [rows, ...rest] = shape as [number, ...number[]];
  const offset = reshape(w.get("weight_offset", [rows]), [rows, ...rest.map(() => 1)]);
  return add(w.get("weight", shape), offset);
}

interface Size {
  readonly out: number;
  readonly kernel: number;
  readonly stride: number;
  readonly pad: number;
}

function conv(x: Tensor, w: Weights, { out, kernel, stride, pad: around }: Size): Tensor {
  const weight = shifted(w, [out, fixedSize(x, 1), kernel, kernel]);
  return convolution.conv2d(x, weight, w.get("bias", [out]), { stride, pads: [around, around, around, around] });
}

function unit(x: Tensor, w: Weights): Tensor {
  const same = { out: fixedSize(x, 1), kernel: 3, stride: 1, pad: 1 };
  return relu(add(conv(relu(conv(x, w.at("conv1"), same)), w.at("conv2"), same), x));
}

/** The mean of each four pixels beside two convolutions; the smaller of the two, and new channels, are filled with zeros. */
function halvingUnit(x: Tensor, w: Weights, out: number): Tensor {
  const first = relu(conv(x, w.at("conv1"), { out, kernel: 3, stride: 2, pad: 0 }));
  const y = conv(first, w.at("conv2"), { out, kernel: 3, stride: 1, pad: 1 });
  const side = Math.floor(fixedSize(x, 2) / 2);
  const even = slice(slice(x, 2, 0, 2 * side), 3, 0, 2 * side);
  const small = averagePool(even, 2);
  const skip = fixedSize(small, 1) === out ? small : pad(small, 1, 0, out);
  return relu(add(fixedSize(y, 2) === side ? y : pad(pad(y, 2, 0, side), 3, 0, side), skip));
}
