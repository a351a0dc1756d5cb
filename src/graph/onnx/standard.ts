import { sameDim } from "../dim.ts";
import { addOp, cosOp, divOp, erfOp, geluOp, mulOp, sigmoidOp, sinOp, subOp } from "../ops/elementwise.ts";
import { broadcastToOp, concatOp, gatherOp, permuteOp, reshapeOp, sliceOp, takeRowsOp, upsampleOp } from "../ops/layout.ts";
import { conv2dOp, linearOp, matmulOp } from "../ops/matrix.ts";
import { groupNormOp, layerNormOp, softmaxOp } from "../ops/normalise.ts";
import { fixedSize, type Op, type Tensor } from "../tensor.ts";
import { type Emitter, type Lowering, type Lowerings, lower } from "./emitter.ts";

const plain = (op: Op, type: string): readonly [Op, Lowering] => lower(op, (_, inputs, e) => e.node(type, inputs));

/** The shape to give to Reshape: 0 copies the input's size, -1 follows from the rest; computed only if that will not do. */
function reshapeTarget(x: Tensor, shape: Tensor["shape"], e: Emitter): string {
  const short = shape.map((d, i) => (typeof d === "number" ? d : x.shape[i] !== undefined && sameDim(d, x.shape[i]) ? 0 : -1));
  return short.filter((d) => d === -1).length <= 1 ? e.ints(short) : e.dims(shape);
}

/** Every operation in plain ONNX (opset 21), as any provider runs it. */
export const standardLowerings: Lowerings = new Map([
  plain(addOp, "Add"),
  plain(subOp, "Sub"),
  plain(mulOp, "Mul"),
  plain(divOp, "Div"),
  plain(sigmoidOp, "Sigmoid"),
  plain(erfOp, "Erf"),
  plain(sinOp, "Sin"),
  plain(cosOp, "Cos"),
  plain(geluOp, "Gelu"),
  plain(matmulOp, "MatMul"),
  lower(softmaxOp, (_, [x], e) => e.node("Softmax", [x!], { attrs: { axis: -1 } })),
  lower(gatherOp, (_, inputs, e) => e.node("Gather", inputs, { attrs: { axis: 0 } })),
  lower(reshapeOp, (y, [x], e) => e.node("Reshape", [x!, reshapeTarget(y.inputs[0]!, y.shape, e)])),
  lower(permuteOp, (y, [x], e) => e.node("Transpose", [x!], { attrs: { perm: y.attrs.order } })),
  lower(concatOp, (y, inputs, e) => e.node("Concat", inputs, { attrs: { axis: y.attrs.axis } })),
  lower(broadcastToOp, (y, [x], e) => e.node("Expand", [x!, e.dims(y.shape)])),
  lower(sliceOp, (y, [x], e) => {
    const { axis, start, size } = y.attrs;
    const end = typeof size === "number" ? e.ints([start + size]) : start === 0 ? e.dims([size]) : undefined;
    if (end === undefined) throw new TypeError("a slice of symbolic size must start at 0");
    return e.node("Slice", [x!, e.ints([start]), end, e.ints([axis])]);
  }),
  lower(upsampleOp, (y, [x], e) => {
    const scales = e.floats([1, 1, y.attrs.factor, y.attrs.factor], [4]);
    const attrs = { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" };
    return e.node("Resize", [x!, "", scales], { attrs });
  }),
  lower(takeRowsOp, (_, [x, at], e) => {
    const index = e.node("Unsqueeze", [at!, e.ints([1])]);
    return e.node("GatherND", [x!, index], { attrs: { batch_dims: 1 } });
  }),
  lower(linearOp, linear),
  lower(conv2dOp, (y, inputs, e) => {
    const { stride, pads } = y.attrs;
    const kernel = [fixedSize(y.inputs[1]!, 2), fixedSize(y.inputs[1]!, 3)];
    return e.node("Conv", inputs, { attrs: { strides: [stride, stride], pads, kernel_shape: kernel } });
  }),
  lower(layerNormOp, (y, inputs, e) =>
    e.node("LayerNormalization", inputs, { attrs: { axis: -1, epsilon: { float: y.attrs.eps } } }),
  ),
  lower(groupNormOp, groupNorm),
]);

/** As a product of matrices with the bias inside (Gemm), over all leading axes at once. */
function linear(y: Tensor, [x, w, b]: readonly string[], e: Emitter): string {
  const input = y.inputs[0]!;
  const flat = input.shape.length === 2 ? x! : e.node("Reshape", [x!, e.ints([-1, fixedSize(input, -1)])]);
  const out = e.node("Gemm", b === undefined ? [flat, w!] : [flat, w!, b], { attrs: { transB: 1 } });
  if (input.shape.length === 2) return out;
  const unknown = y.shape.slice(0, -1).filter((d) => typeof d !== "number").length;
  const target =
    unknown <= 1
      ? e.ints(y.shape.map((d) => (typeof d === "number" ? d : -1)))
      : e.node("Concat", [e.node("Shape", [x!], { attrs: { start: 0, end: -1 } }), e.ints([fixedSize(y, -1)])], {
          attrs: { axis: 0 },
        });
  return e.node("Reshape", [out, target]);
}

/**
 * Through LayerNormalization over each group, then scale and shift by channel: faster in ONNX Runtime than its
 * GroupNormalization and than the form through InstanceNormalization.
 */
function groupNorm(y: Tensor<{ groups: number; eps: number }>, [x, weight, bias]: readonly string[], e: Emitter): string {
  const { groups, eps } = y.attrs;
  const channels = fixedSize(y.inputs[0]!, 1);
  const grouped = e.node("Reshape", [x!, e.ints([0, groups, -1])]);
  const one = e.floats([1], [1]);
  const normal = e.node("LayerNormalization", [grouped, one], { attrs: { axis: -1, epsilon: { float: eps } } });
  const perChannel = e.ints([channels, ...Array(y.shape.length - 2).fill(1)]);
  const back = e.node("Reshape", [normal, e.node("Shape", [x!])]);
  const scaled = e.node("Mul", [back, e.node("Reshape", [weight!, perChannel])]);
  return e.node("Add", [scaled, e.node("Reshape", [bias!, perChannel])]);
}
