import type { Lowerings } from "../graph/onnx/emitter.ts";
import { lower } from "../graph/onnx/emitter.ts";
import { standardLowerings } from "../graph/onnx/standard.ts";
import { quickGeluOp } from "../graph/ops/activation.ts";
import { attentionOp } from "../graph/ops/attention.ts";
import { matmulOp } from "../graph/ops/matrix.ts";
import { quantisedLinearOp } from "../graph/ops/quantised.ts";
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
  // Rows are brought to one range before, since the provider rounds with one scale for all of them.
  lower(quantisedLinearOp, ({ attrs }, [x, bias], e) => {
    const most = e.node("ReduceMax", [e.node("Abs", [x!]), e.ints([-1])]);
    const range = e.node("Max", [most, e.floats([1e-20], [])]); // a row of zeros has none
    const rounded = e.node("DynamicQuantizeLinear", [e.node("Div", [x!, range])], { outputs: 3 });
    const [weight, scales] = [e.weight(attrs.weight).name, e.weight(attrs.scales).name];
    const inputs = [rounded, weight, `${rounded}_1`, scales, `${rounded}_2`];
    const product = e.node("MatMulIntegerToFloat", inputs, { domain: "com.microsoft" });
    const y = e.node("Mul", [product, range]);
    return bias === undefined ? y : e.node("Add", [y, bias]);
  }),
  lower(matmulOp, (y, inputs, e) => {
    const { transA, transB, scale } = y.attrs;
    if (y.inputs.every((x) => x.shape.length === 2)) return standardLowerings.get(matmulOp as Op)!(y, inputs, e);
    if (!transA && !transB && scale === 1) return e.node("MatMul", inputs);
    const attrs = { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha: { float: scale } };
    return e.node("FusedMatMul", inputs, { domain: "com.microsoft", attrs });
  }),
]);
