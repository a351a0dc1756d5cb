import { type Emitter, type Lowerings, lower } from "../graph/onnx/emitter.ts";
import { standardLowerings } from "../graph/onnx/standard.ts";
import { quickGeluOp } from "../graph/ops/activation.ts";
import { attentionOp } from "../graph/ops/attention.ts";
import { cosOp, sinOp } from "../graph/ops/elementwise.ts";
import { matmulOp } from "../graph/ops/matrix.ts";
import { type QuantisedWeight, quantisedConvOp, quantisedLinearOp } from "../graph/ops/quantised.ts";
import type { Op } from "../graph/tensor.ts";
import type { Device } from "./device.ts";

const [FLOAT, UINT8, DOUBLE] = [1, 2, 11]; // TensorProto.DataType

/** What the CPU, CUDA and WebGPU providers all have beyond plain ONNX. */
const common: Lowerings = new Map([
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

/** A product that transposes and scales on its way, which WebGPU has not. */
const fusedMatmul = lower(matmulOp, (y, inputs, e) => {
  const { transA, transB, scale } = y.attrs;
  if (y.inputs.every((x) => x.shape.length === 2)) return standardLowerings.get(matmulOp as Op)!(y, inputs, e);
  if (!transA && !transB && scale === 1) return e.node("MatMul", inputs);
  const attrs = { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha: { float: scale } };
  return e.node("FusedMatMul", inputs, { domain: "com.microsoft", attrs });
});

/** What stands for zero in a weight of 8 bits. */
const zeroOf = ({ weight }: Pick<QuantisedWeight, "weight">, e: Emitter): string =>
  weight.entry.dtype === "U8" ? e.node("Cast", [e.ints([128])], { attrs: { to: UINT8 } }) : "";

export const cpuLowerings: Lowerings = new Map([
  ...common,
  fusedMatmul,
  // Rows are brought to one range before, since the provider rounds with one scale for all of them.
  lower(quantisedLinearOp, ({ attrs }, [x, bias], e) => {
    const most = e.node("ReduceMax", [e.node("Abs", [x!]), e.ints([-1])]);
    const range = e.node("Max", [most, e.floats([1e-20], [])]); // a row of zeros has none
    const rounded = e.node("DynamicQuantizeLinear", [e.node("Div", [x!, range])], { outputs: 3 });
    const [weight, scales] = [e.weight(attrs.weight).name, e.weight(attrs.scales).name];
    const inputs = [rounded, weight, `${rounded}_1`, scales, `${rounded}_2`, zeroOf(attrs, e)];
    const product = e.node("MatMulIntegerToFloat", inputs, { domain: "com.microsoft" });
    const y = e.node("Mul", [product, range]);
    return bias === undefined ? y : e.node("Add", [y, bias]);
  }),
  // Windows are gathered in 8 bits, a quarter of what they are in float32, with the channels side by side.
  lower(quantisedConvOp, ({ attrs: { weight, scales, kernel, stride, pads } }, [x, bias], e) => {
    const rounded = e.node("DynamicQuantizeLinear", [x!], { outputs: 3 });
    const [scale, zero] = [`${rounded}_1`, `${rounded}_2`];
    let windows = e.node("Transpose", [rounded], { attrs: { perm: [0, 2, 3, 1] } });
    if (pads.some((n) => n > 0)) {
      const [top, left, bottom, right] = pads;
      windows = e.node("Pad", [windows, e.ints([0, top, left, 0, 0, bottom, right, 0]), zero]);
    }
    const end = (at: number): number => (at === kernel - 1 ? Number.MAX_SAFE_INTEGER : at + 1 - kernel);
    const places = Array.from({ length: kernel ** 2 }, (_, i) => [Math.floor(i / kernel), i % kernel] as const);
    if (kernel > 1 || stride > 1) {
      const seen = places.map(([row, column]) =>
        e.node("Slice", [
          windows,
          e.ints([row, column]),
          e.ints([end(row), end(column)]),
          e.ints([1, 2]),
          e.ints([stride, stride]),
        ]),
      );
      windows = seen.length === 1 ? seen[0]! : e.node("Concat", seen, { attrs: { axis: 3 } });
    }
    const inputs = [
      windows,
      e.weight(weight).name,
      scale,
      e.weight(scales).name,
      zero,
      zeroOf({ weight }, e),
      ...(bias === undefined ? [] : [bias]),
    ];
    const product = e.node("MatMulIntegerToFloat", inputs, { domain: "com.microsoft" });
    return e.node("Transpose", [product], { attrs: { perm: [0, 3, 1, 2] } });
  }),
]);

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
