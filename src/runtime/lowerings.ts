import type { Lowerings } from "../graph/onnx/emitter.ts";
import { lower } from "../graph/onnx/emitter.ts";
import { standardLowerings } from "../graph/onnx/standard.ts";
import { quickGeluOp } from "../graph/ops/activation.ts";
import { attentionOp } from "../graph/ops/attention.ts";
import { matmulOp } from "../graph/ops/matrix.ts";
import type { Op } from "../graph/tensor.ts";

/** How ONNX Runtime's CPU provider is best told each operation. */
export const cpuLowerings: Lowerings = new Map([
  ...standardLowerings,
  // Without mask, bias or past it takes a flash path: no scores matrix is kept.
  lower(attentionOp, (y, inputs, e) =>
    e.node("MultiHeadAttention", inputs, {
      domain: "com.microsoft",
      attrs: { num_heads: y.attrs.heads, unidirectional: y.attrs.causal ? 1 : 0 },
    }),
  ),
  lower(quickGeluOp, (_, inputs, e) =>
    e.node("QuickGelu", inputs, { domain: "com.microsoft", attrs: { alpha: { float: 1.702 } } }),
  ),
  lower(matmulOp, (y, inputs, e) => {
    const { transA, transB, scale } = y.attrs;
    if (y.inputs.every((x) => x.shape.length === 2)) return standardLowerings.get(matmulOp as Op)!(y, inputs, e);
    if (!transA && !transB && scale === 1) return e.node("MatMul", inputs);
    const attrs = { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha: { float: scale } };
    return e.node("FusedMatMul", inputs, { domain: "com.microsoft", attrs });
  }),
]);
