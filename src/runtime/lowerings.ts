import { blockedConvolutions } from "../graph/onnx/blocked-convolution.ts";
import { type Lowerings, lower } from "../graph/onnx/emitter.ts";
import { standardLowerings } from "../graph/onnx/standard.ts";
import { quickGeluOp } from "../graph/ops/activation.ts";
import { attentionOp } from "../graph/ops/attention.ts";
import { cosOp, sinOp } from "../graph/ops/elementwise.ts";
import { reduceSumOp } from "../graph/ops/layout.ts";
import { matmulOp } from "../graph/ops/matrix.ts";
import type { Op, Tensor } from "../graph/tensor.ts";
import type { Device } from "./device.ts";
import { quantisedLowerings } from "./quantised-lowerings.ts";

/** What the CPU, CUDA and WebGPU providers all have beyond plain ONNX. */
const common: Lowerings = new Map([
  ...standardLowerings,
  // Without mask, bias or past it takes a flash path: no scores matrix is kept.
  lower(attentionOp, (y, [q, k, v, bias], e) =>
    e.node("MultiHeadAttention", [q!, k!, v!, ...(bias === undefined ? [] : ["", "", bias])], {
      domain: "com.microsoft",
      attrs: { num_heads: y.attrs.heads, unidirectional: y.attrs.causal ? 1 : 0 },
    }),
  ),
  lower(quickGeluOp, (_, inputs, e) =>
    e.node("QuickGelu", inputs, { domain: "com.microsoft", attrs: { alpha: { float: 1.702 } } }),
  ),
]);

/** A product that transposes and scales on its way, which WebGPU has not. */
const fusedMatmul = lower(matmulOp, (y, inputs, e) => {
  const { transA, transB, scale } = y.attrs;
  if (y.inputs.every((x) => x.shape.length === 2)) return standardLowerings.get(matmulOp as Op)!(y, inputs, e);
  if (!transA && !transB && scale === 1) return e.node("MatMul", inputs);
  const attrs = { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha: { float: scale } };
  return e.node("FusedMatMul", inputs, { domain: "com.microsoft", attrs });
});

/** Sums of a matrix's columns as a product with ones: ONNX Runtime's ReduceSum takes ten times as long. */
const columnSums = lower(reduceSumOp, (y, inputs, e) => {
  const [x] = y.inputs as [Tensor];
  const rows = x.shape[0]!;
  if (x.shape.length !== 2 || y.attrs.axes.join() !== "0" || typeof rows !== "number")
    return standardLowerings.get(reduceSumOp as Op)!(y as Tensor, inputs, e);
  return e.node("MatMul", [e.floats(Array(rows).fill(1), y.attrs.keepDims ? [1, rows] : [rows]), inputs[0]!]);
});

export const cpuLowerings: Lowerings = new Map([...common, fusedMatmul, columnSums, ...quantisedLowerings]);

const [FLOAT, DOUBLE] = [1, 11]; // TensorProto.DataType
/**
 * In float64, which WebGPU has not, so that the processor does it. Shaders may be off by 2^-11 in sines and cosines (WGSL, "Accuracy of
 * built-in functions"): the embedding of a timestep, of which there are few, would change the picture.
 */
const onProcessor = (op: Op, type: string) =>
  lower(op, (_, [x], e) => {
    const y = e.node(type, [e.node("Cast", [x!], { attrs: { to: DOUBLE } })]);
    return e.node("Cast", [y], { attrs: { to: FLOAT } });
  });
const webgpu: Lowerings = new Map([...common, onProcessor(sinOp, "Sin"), onProcessor(cosOp, "Cos")]);

/** How the ONNX Runtime provider of each device is best told each operation. */
export const lowerings: Readonly<Record<Device, Lowerings>> = {
  cpu: cpuLowerings,
  webgpu,
  cuda: new Map([...common, fusedMatmul]),
};

/** The same, with attention as products and a softmax. */
export function withoutAttention(all: Lowerings): Lowerings {
  const rest = new Map(all);
  rest.delete(attentionOp as Op);
  return rest;
}

/** The same, with convolutions of trained weights in blocks of so many channels: see channel-block.ts. */
export const withBlocks = (all: Lowerings, block: number | undefined): Lowerings =>
  block === undefined ? all : new Map([...all, ...blockedConvolutions(block)]);
