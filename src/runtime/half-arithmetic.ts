import { weightPathOf } from "../graph/layer-weight.ts";
import type { Arithmetic } from "../graph/onnx/encode.ts";
import { attentionOp } from "../graph/ops/attention.ts";
import { conv2dOp } from "../graph/ops/convolution.ts";
import { cosOp, divOp, expOp, logOp, sinOp, sqrtOp } from "../graph/ops/elementwise.ts";
import { reduceSumOp } from "../graph/ops/layout.ts";
import { linearOp, matmulOp } from "../graph/ops/matrix.ts";
import { groupNormOp, layerNormOp, logSoftmaxOp, normaliseOp, scaleShiftOp, softmaxOp } from "../graph/ops/normalise.ts";
import { reduceMeanOp } from "../graph/ops/reduce.ts";
import { averagePoolOp, upsampleBilinearOp, upsampleOp } from "../graph/ops/resample.ts";
import { is, type Op, type Tensor } from "../graph/tensor.ts";

/** Operations that take most of the time, computed in float16. */
const HALF = new Set<Op>([linearOp, conv2dOp, attentionOp, matmulOp].map((op) => op as Op));

/** Operations computed in float32: sums of many numbers, functions that need more bits or range than float16 has, and Resize, whose factors are float32. */
const WIDE = new Set<Op>(
  [
    groupNormOp,
    layerNormOp,
    normaliseOp,
    scaleShiftOp,
    softmaxOp,
    logSoftmaxOp,
    reduceSumOp,
    reduceMeanOp,
    averagePoolOp,
    upsampleOp,
    upsampleBilinearOp,
    expOp,
    logOp,
    sinOp,
    cosOp,
    sqrtOp,
    divOp,
  ].map((op) => op as Op),
);

/** Layers that compute a single row, where float32 costs nothing; everything depends on them. */
const ONE_ROW = /(^|\.)(time_embedding|add_embedding|time_emb_proj)\./;

/**
 * Chooses the arithmetic of an operation for half precision on a graphics card: matrix products and convolutions in float16, sensitive
 * operations in float32, the rest in the type of their inputs.
 */
export function halfArithmetic(t: Tensor): Arithmetic {
  if (ONE_ROW.test(`.${weightPathOf(t) ?? ""}`)) return "wide";
  // attention scores exceed float16's range until they are scaled
  if (is(t, matmulOp) && t.attrs.scale !== 1) return "wide";
  return HALF.has(t.op) ? "half" : WIDE.has(t.op) ? "wide" : "same";
}
