import { add } from "../../graph/ops/elementwise.ts";
import { pad, reshape } from "../../graph/ops/layout.ts";
import { maxPool } from "../../graph/ops/max-pool.ts";
import { fixedSize, type Tensor } from "../../graph/tensor.ts";
import type { Weights } from "../../graph/weights.ts";
import { conv2d, depthwiseConv2d, prelu } from "../../nn/layers.ts";

/** Side of the picture that FaceMesh takes, in pixels. */
export const FACE_MESH_SIDE = 192;
export const FACE_MESH_POINTS = 468;

const WIDTHS = [16, 32, 64, 128, 128] as const;

/**
 * Dense landmarks of a face: MediaPipe's FaceMesh.
 *
 * @param x [1, 3, 192, 192] red, green, blue from 0 to 1
 * @param w keys: stem, stages.N.N, points and flag, each unit with depthwise, pointwise, prelu
 * @returns points [1, 468, 3] in pixels of x, depth on the same scale; flag [1, 1], the logit of there being a face
 * @see Kartynnik et al. 2019 (arXiv 1907.06724)
 */
export function faceMesh(x: Tensor, w: Weights): { points: Tensor; flag: Tensor } {
  const stem = conv2d(x, w.at("stem", "conv"), { out: WIDTHS[0], kernel: 3, stride: 2, pad: BELOW_AND_RIGHT });
  let y = prelu(stem, w.at("stem", "prelu"));
  for (const [stage, out] of WIDTHS.entries()) {
    const units = w.at("stages", stage);
    if (stage > 0) y = unit(y, units.at(0), out, true);
    const first = stage === 0 ? 0 : 1;
    y = unit(unit(y, units.at(first), out), units.at(first + 1), out);
  }
  let points = unit(y, w.at("points", 0), 128, true);
  for (const i of [1, 2]) points = unit(points, w.at("points", i), 128);
  const flag = unit(y, w.at("flag", 0), 128, true);
  return {
    points: reshape(last(points, w.at("points"), FACE_MESH_POINTS * 3), [1, FACE_MESH_POINTS, 3]),
    flag: reshape(last(flag, w.at("flag"), 1), [1, 1]),
  };
}

const BELOW_AND_RIGHT = [0, 0, 1, 1] as const;

/** Residual unit; one that halves the picture compares with the largest of each four pixels, new channels being 0 there. */
function unit(x: Tensor, w: Weights, out: number, halves = false): Tensor {
  const seen = depthwiseConv2d(x, w.at("depthwise"), {
    kernel: 3,
    stride: halves ? 2 : 1,
    pad: halves ? BELOW_AND_RIGHT : 1,
  });
  const mixed = conv2d(seen, w.at("pointwise"), { out, kernel: 1 });
  const small = halves ? maxPool(x, 2) : x;
  const skip = fixedSize(small, 1) === out ? small : pad(small, 1, 0, out);
  return prelu(add(skip, mixed), w.at("prelu"));
}

function last(x: Tensor, w: Weights, out: number): Tensor {
  const narrow = prelu(conv2d(x, w.at("narrow", "conv"), { out: 32, kernel: 1 }), w.at("narrow", "prelu"));
  return conv2d(unit(narrow, w.at("last"), 32), w.at("out"), { out, kernel: 3 });
}
