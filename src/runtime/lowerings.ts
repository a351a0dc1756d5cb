import type { Lowerings } from "../graph/onnx/emitter.ts";
import { lower } from "../graph/onnx/emitter.ts";
import { standardLowerings } from "../graph/onnx/standard.ts";
import { attentionOp } from "../graph/ops/attention.ts";
import { quickGeluOp } from "../graph/ops/elementwise.ts";

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
]);
