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

/** Lowerings that the CPU, CUDA and WebGPU providers share, beyond plain ONNX. */
const common: Lowerings = new Map([
  ...standardLowerings,
  // Without mask, bias or past, ONNX Runtime uses flash attention: the matrix of scores is never stored.
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

/** Lowering to a matrix product that transposes and scales by itself, which WebGPU lacks. */
const fusedMatmul = lower(matmulOp, (y, inputs, e) => {
  const { transA, transB, scale } = y.attrs;
  if (y.inputs.every((x) => x.shape.length === 2)) return standardLowerings.get(matmulOp as Op)!(y, inputs, e);
  if (!transA && !transB && scale === 1) return e.node("MatMul", inputs);
  const attrs = { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha: { float: scale } };
  return e.node("FusedMatMul", inputs, { domain: "com.microsoft", attrs });
});

/** Lowering of column sums of a matrix to a product with ones: ONNX Runtime's ReduceSum takes ten times as long. */
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
 * Lowering to float64, which WebGPU lacks, so that the processor computes the operation. Shaders may be off by 2^-11 in sines and cosines
 * (WGSL, "Accuracy of built-in functions"), which changes the picture through the embedding of the timestep; that is small and costs little.
 */
const onProcessor = (op: Op, type: string) =>
  lower(op, (_, [x], e) => {
    const y = e.node(type, [e.node("Cast", [x!], { attrs: { to: DOUBLE } })]);
    return e.node("Cast", [y], { attrs: { to: FLOAT } });
  });
const webgpu: Lowerings = new Map([...common, onProcessor(sinOp, "Sin"), onProcessor(cosOp, "Cos")]);

/** The best lowering of each operation for the ONNX Runtime provider of each device. */
export const lowerings: Readonly<Record<Device, Lowerings>> = {
  cpu: cpuLowerings,
  webgpu,
  cuda: new Map([...common, fusedMatmul]),
};

/** Removes the lowering of attention, which then expands to products and a softmax. */
export function withoutAttention(all: Lowerings): Lowerings {
  const rest = new Map(all);
  rest.delete(attentionOp as Op);
  return rest;
}

/** Replaces the lowerings of convolutions with trained weights by ones in blocks of channels: see channel-block.ts. */
export const withBlocks = (all: Lowerings, block: number | undefined): Lowerings =>
  block === undefined ? all : new Map([...all, ...blockedConvolutions(block)]);
