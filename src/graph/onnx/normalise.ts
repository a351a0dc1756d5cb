import { type Dim, mulDims } from "../dim.ts";
import { groupNormOp, invStdDevOp, layerNormOp, logSoftmaxOp, normaliseOp, scaleShiftOp, softmaxOp } from "../ops/normalise.ts";
import { fixedSize, type Shape, size, type Tensor } from "../tensor.ts";
import { type Emitter, lower } from "./emitter.ts";
import { reshapeNode } from "./reshape.ts";

const epsilon = (eps: number) => ({ axis: -1, epsilon: { float: eps } });

/**
 * Normalises over the last axis; outputs 1 and 2 are the mean and 1 / deviation, which the gradient needs.
 * The scale is a vector as long as the axis, because ONNX Runtime takes three times as long where it has to broadcast a single number.
 */
function normalise(x: string, width: Dim, eps: number, e: Emitter): string {
  const ones = e.node("Expand", [e.floats([1], [1]), e.dims([width])]);
  return e.node("LayerNormalization", [x, ones], { attrs: epsilon(eps), outputs: 3 });
}

/** Norms and softmax in plain ONNX. */
export const normaliseLowerings = [
  lower(softmaxOp, (_, [x], e) => e.node("Softmax", [x!], { attrs: { axis: -1 } })),
  lower(logSoftmaxOp, (_, [x], e) => e.node("LogSoftmax", [x!], { attrs: { axis: -1 } })),
  lower(layerNormOp, (y, inputs, e) => e.node("LayerNormalization", inputs, { attrs: epsilon(y.attrs.eps) })),
  lower(groupNormOp, groupNorm),
  lower(normaliseOp, (y, [x], e) => normalise(x!, size(y, -1), y.attrs.eps, e)),
  lower(invStdDevOp, (_, [normal]) => `${normal}_2`),
  // the only node that scales and shifts by channel in one pass
  lower(scaleShiftOp, (y, [x, scale, shift], e) => {
    const channels = size(y, 1);
    if (typeof channels !== "number") return undefined;
    const all = (value: number): string => e.floats(Array(channels).fill(value), [channels]);
    return e.node("BatchNormalization", [x!, scale!, shift!, all(0), all(1)], { attrs: { epsilon: { float: 0 } } });
  }),
];

/**
 * Group norm by LayerNormalization over each group, then scale and shift by channel: faster in ONNX Runtime than GroupNormalization or
 * InstanceNormalization.
 */
function groupNorm(y: Tensor<{ groups: number; eps: number }>, [x, weight, bias]: readonly string[], e: Emitter): string {
  const { groups, eps } = y.attrs;
  const channels = fixedSize(y, 1);
  const area = mulDims(...y.shape.slice(2));
  const byGroup: Shape = [size(y, 0), groups, mulDims(channels / groups, area)];
  const normal = normalise(reshapeNode(x!, y.shape, byGroup, e), byGroup[2]!, eps, e);
  const back = reshapeNode(normal, byGroup, y.shape, e);
  const perChannel = e.ints([channels, ...Array(y.shape.length - 2).fill(1)]);
  const scaled = e.node("Mul", [back, e.node("Reshape", [weight!, perChannel])]);
  return e.node("Add", [scaled, e.node("Reshape", [bias!, perChannel])]);
}
