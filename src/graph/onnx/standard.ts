import { mulDims } from "../dim.ts";
import { geluOp, hardSwishOp, preluOp } from "../ops/activation.ts";
import { depthwiseConvOp } from "../ops/depthwise.ts";
import {
  absOp,
  addOp,
  cosOp,
  divOp,
  erfOp,
  expOp,
  logOp,
  mulOp,
  negOp,
  reluOp,
  sigmoidOp,
  signOp,
  sinOp,
  sqrtOp,
  subOp,
  tanhOp,
} from "../ops/elementwise.ts";
import { everyNthOp } from "../ops/every-nth.ts";
import { gatherOp, oneHotOp, scatterRowsOp, takeRowsOp } from "../ops/gather.ts";
import { broadcastToOp, concatOp, padOp, permuteOp, reduceSumOp, reshapeOp, sliceOp } from "../ops/layout.ts";
import { linearOp, type MatmulAttrs, matmulOp } from "../ops/matrix.ts";
import { maxPoolOp } from "../ops/max-pool.ts";
import { reduceMeanOp } from "../ops/reduce.ts";
import { averagePoolOp, depthToSpaceOp, spaceToDepthOp, upsampleBilinearOp, upsampleOp } from "../ops/resample.ts";
import { rangeOp } from "../ops/source.ts";
import { takeFirstOp } from "../ops/take-first.ts";
import { fixedSize, type Op, size, type Tensor } from "../tensor.ts";
import { afterLowerings } from "./after.ts";
import { convolutionLowerings } from "./convolution.ts";
import { type Emitter, type Lowering, type Lowerings, lower } from "./emitter.ts";
import { normaliseLowerings } from "./normalise.ts";
import { reshapeNode, shaped, transposed } from "./reshape.ts";

const plain = (op: Op, type: string): readonly [Op, Lowering] => lower(op, (_, inputs, e) => e.node(type, inputs));

/** Every operation in plain ONNX (opset 21), as any provider runs it. */
export const standardLowerings: Lowerings = new Map([
  plain(addOp, "Add"),
  plain(subOp, "Sub"),
  plain(mulOp, "Mul"),
  plain(divOp, "Div"),
  plain(sigmoidOp, "Sigmoid"),
  plain(tanhOp, "Tanh"),
  plain(erfOp, "Erf"),
  plain(sinOp, "Sin"),
  plain(cosOp, "Cos"),
  plain(expOp, "Exp"),
  plain(logOp, "Log"),
  plain(sqrtOp, "Sqrt"),
  plain(absOp, "Abs"),
  plain(negOp, "Neg"),
  plain(signOp, "Sign"),
  plain(reluOp, "Relu"),
  plain(geluOp, "Gelu"),
  plain(preluOp, "PRelu"),
  plain(hardSwishOp, "HardSwish"),
  lower(matmulOp, matmul),
  lower(reduceSumOp, (y, [x], e) => e.node("ReduceSum", [x!, e.ints(y.attrs.axes)], keep(y))),
  lower(reduceMeanOp, (y, [x], e) => e.node("ReduceMean", [x!, e.ints(y.attrs.axes)], keep(y))),
  lower(gatherOp, (_, inputs, e) => e.node("Gather", inputs, { attrs: { axis: 0 } })),
  lower(rangeOp, (y, _, e) => {
    const scalar = (vector: string): string => e.node("Squeeze", [vector]);
    const numbers = e.node("Range", [scalar(e.ints([0])), scalar(e.dims([y.attrs.count])), scalar(e.ints([1]))]);
    return e.widen(numbers);
  }),
  lower(reshapeOp, (y, [x], e) => reshapeNode(x!, y.inputs[0]!.shape, y.shape, e)),
  lower(permuteOp, (y, [x], e) => e.node("Transpose", [x!], { attrs: { perm: y.attrs.order } })),
  lower(concatOp, (y, inputs, e) => e.node("Concat", inputs, { attrs: { axis: y.attrs.axis } })),
  lower(broadcastToOp, (y, [x], e) => e.node("Expand", [x!, e.dims(y.shape)])),
  lower(sliceOp, (y, [x], e) => {
    const { axis, start, size } = y.attrs;
    const end = typeof size === "number" ? e.ints([start + size]) : start === 0 ? e.dims([size]) : undefined;
    if (end === undefined) throw new TypeError("a slice of symbolic size must start at 0");
    return e.node("Slice", [x!, e.ints([start]), end, e.ints([axis])]);
  }),
  lower(everyNthOp, (y, [x], e) => {
    const { axis, step } = y.attrs;
    return e.node("Slice", [x!, e.ints([0]), e.dims([size(y.inputs[0]!, axis)]), e.ints([axis]), e.ints([step])]);
  }),
  lower(takeFirstOp, (y, [x, count], e) => e.node("Slice", [x!, e.ints([0]), count!, e.ints([y.attrs.axis])])),
  lower(padOp, (y, [x], e) => {
    const { axis, start, size: whole } = y.attrs;
    const inner = size(y.inputs[0]!, axis);
    if (typeof inner !== "number" || typeof whole !== "number") throw new TypeError("padding needs fixed sizes");
    return e.node("Pad", [x!, e.ints([start, whole - start - inner]), "", e.ints([axis])]);
  }),
  lower(averagePoolOp, (y, [x], e) => {
    const side = [y.attrs.factor, y.attrs.factor];
    return e.node("AveragePool", [x!], { attrs: { kernel_shape: side, strides: side } });
  }),
  lower(upsampleOp, (y, [x], e) => {
    const scales = e.floats([1, 1, y.attrs.factor, y.attrs.factor], [4]);
    const attrs = { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" };
    return e.node("Resize", [x!, "", scales], { attrs });
  }),
  lower(upsampleBilinearOp, (y, [x], e) => {
    const scales = e.floats([1, 1, y.attrs.factor, y.attrs.factor], [4]);
    return e.node("Resize", [x!, "", scales], { attrs: { mode: "linear", coordinate_transformation_mode: "half_pixel" } });
  }),
  lower(maxPoolOp, (y, [x], e) => {
    const { kernel, stride } = y.attrs;
    return e.node("MaxPool", [x!], { attrs: { kernel_shape: [kernel, kernel], strides: [stride, stride] } });
  }),
  lower(depthwiseConvOp, (y, inputs, e) => {
    const { stride, pads } = y.attrs;
    const [group, , ...kernel] = y.inputs[1]!.shape as number[];
    return e.node("Conv", inputs, { attrs: { strides: [stride, stride], pads, kernel_shape: kernel, group: group! } });
  }),
  lower(spaceToDepthOp, (y, [x], e) => e.node("SpaceToDepth", [x!], { attrs: { blocksize: y.attrs.factor } })),
  lower(depthToSpaceOp, depthToSpace),
  lower(takeRowsOp, (_, [x, at], e) => {
    const index = e.node("Unsqueeze", [at!, e.ints([1])]);
    return e.node("GatherND", [x!, index], { attrs: { batch_dims: 1 } });
  }),
  lower(linearOp, linear),
  lower(oneHotOp, (y, [ids], e) => e.node("OneHot", [ids!, e.dims([y.attrs.depth]), e.floats([0, 1], [2])])),
  lower(scatterRowsOp, scatterRows),
  ...afterLowerings,
  ...convolutionLowerings,
  ...normaliseLowerings,
]);

const keep = (y: Tensor<{ keepDims: boolean }>) => ({ attrs: { keepdims: y.attrs.keepDims ? 1 : 0 } });

function matmul(y: Tensor<MatmulAttrs>, [a, b]: readonly string[], e: Emitter): string {
  const { transA, transB, scale } = y.attrs;
  const [left, right] = y.inputs as [Tensor, Tensor];
  const flags = { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha: { float: scale } };
  if (left.shape.length === 2 && right.shape.length === 2) return e.node("Gemm", [a!, b!], { attrs: flags });
  const transposed = (name: string, t: Tensor): string => {
    const axes = t.shape.map((_, i) => i);
    return e.node("Transpose", [name], { attrs: { perm: [...axes.slice(0, -2), axes.at(-1)!, axes.at(-2)!] } });
  };
  const product = e.node("MatMul", [transA ? transposed(a!, left) : a!, transB ? transposed(b!, right) : b!]);
  return scale === 1 ? product : e.node("Mul", [product, e.floats([scale], [])]);
}

/** The pixels of each block side by side, then below each other: two plain transposes, in less than half the time of ONNX Runtime's DepthToSpace. */
function depthToSpace(y: Tensor<{ factor: number }>, [x]: readonly string[], e: Emitter): string {
  const { factor } = y.attrs;
  const { shape } = y.inputs[0]!;
  if (!shape.every((d) => typeof d === "number"))
    return e.node("DepthToSpace", [x!], { attrs: { blocksize: factor, mode: "DCR" } });
  const [batch, depth, rows, columns] = shape as [number, number, number, number];
  const channels = depth / factor ** 2;
  const across = transposed(x!, [batch * factor, factor, channels * rows * columns], [0, 2, 1], e);
  const down = transposed(across, [batch, factor, channels * rows, factor * columns], [0, 2, 1, 3], e);
  return shaped(down, [batch, channels, factor * rows, factor * columns], e);
}

/** Largest table whose rows are summed by a product with ones and zeros, where the order of equal ids does not matter. */
const FEW_ROWS = 1024;

function scatterRows(y: Tensor<{ rows: number }>, [x, ids]: readonly string[], e: Emitter): string | undefined {
  if (y.attrs.rows <= FEW_ROWS) return undefined;
  const rest = y.shape.slice(1);
  const flat = e.node("Reshape", [x!, e.dims([mulDims(...y.inputs[1]!.shape), ...rest])]);
  const zeros = e.node("Expand", [e.floats([0], []), e.dims(y.shape)]);
  const index = e.node("Reshape", [ids!, e.ints([-1, 1])]);
  return e.node("ScatterND", [zeros, index, flat], { attrs: { reduction: "add" } });
}

/** One product of matrices with the bias inside (Gemm), over all leading axes at once. */
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
