import { mulDims } from "../dim.ts";
import { type ConvAttrs, type ConvGradAttrs, conv2dOp, convInputGradOp, convWeightGradOp } from "../ops/convolution.ts";
import { fixedSize, size, type Tensor } from "../tensor.ts";
import { type Emitter, lower } from "./emitter.ts";

const kernelOf = (w: Tensor): [number, number] => [fixedSize(w, 2), fixedSize(w, 3)];

/** Convolution and its gradients in plain ONNX. */
export const convolutionLowerings = [
  lower(conv2dOp, (y, inputs, e) => {
    const { stride, pads } = y.attrs;
    return e.node("Conv", inputs, { attrs: { strides: [stride, stride], pads, kernel_shape: kernelOf(y.inputs[1]!) } });
  }),
  lower(convInputGradOp, (y, [dy, w], e) => (y.attrs.stride === 1 ? flippedConv(y, dy!, w!, e) : transposedConv(y, dy!, w!, e))),
  lower(convWeightGradOp, weightGrad),
];

/** Convolution with the kernel turned by half a turn, input and output channels exchanged: faster than ConvTranspose. */
function flippedConv(dx: Tensor<ConvAttrs>, dy: string, w: string, e: Emitter): string {
  const [rows, columns] = kernelOf(dx.inputs[1]!);
  const [top, left, bottom, right] = dx.attrs.pads;
  const pads = [rows - 1 - top, columns - 1 - left, rows - 1 - bottom, columns - 1 - right];
  const attrs = { strides: [1, 1], pads, kernel_shape: [rows, columns] };
  return e.node("Conv", [dy, flipped(dx.inputs[1]!, w, e)], { attrs });
}

function flipped(w: Tensor, name: string, e: Emitter): string {
  const [rows, columns] = kernelOf(w);
  const area = rows * columns;
  const exchanged = e.node("Transpose", [name], { attrs: { perm: [1, 0, 2, 3] } });
  if (area === 1) return exchanged;
  const flat = e.node("Reshape", [exchanged, e.ints([0, 0, area])]);
  const turned = e.node("Slice", [flat, e.ints([-1]), e.ints([-area - 1]), e.ints([2]), e.ints([-1])]);
  return e.node("Reshape", [turned, e.ints([0, 0, rows, columns])]);
}

function transposedConv(dx: Tensor<ConvAttrs>, dy: string, w: string, e: Emitter): string {
  const { stride, pads } = dx.attrs;
  const kernel = kernelOf(dx.inputs[1]!);
  const missing = [0, 1].map((i) => {
    const whole = stride * (fixedSize(dx.inputs[0]!, 2 + i) - 1) + kernel[i]! - pads[i]! - pads[i + 2]!;
    return fixedSize(dx, 2 + i) - whole;
  });
  const attrs = { strides: [stride, stride], pads, kernel_shape: kernel, output_padding: missing };
  return e.node("ConvTranspose", [dy, w], { attrs });
}

/** One matrix product over all pixels of all samples, with the windows of x as rows: channels last, gathered by row number. */
function weightGrad(dw: Tensor<ConvGradAttrs>, [dy, x]: readonly string[], e: Emitter): string {
  const [dyTensor, xTensor] = dw.inputs as [Tensor, Tensor];
  const { stride, pads } = dw.attrs;
  const [top, left, bottom, right] = pads;
  const [out, channels, rows, columns] = dw.shape as [number, number, number, number];
  const area = rows * columns;
  const pixels = mulDims(size(dyTensor, 2), size(dyTensor, 3));
  const outFirst = e.node("Transpose", [dy!], { attrs: { perm: [1, 0, 2, 3] } });
  const byOutput = e.node("Reshape", [outFirst, e.ints([out, -1])]);
  const plain = area === 1 && stride === 1 && pads.every((p) => p === 0);
  if (plain) {
    const inFirst = e.node("Transpose", [x!], { attrs: { perm: [1, 0, 2, 3] } });
    const byInput = e.node("Reshape", [inFirst, e.ints([channels, -1])]);
    return e.node("Reshape", [e.node("Gemm", [byOutput, byInput], { attrs: { transB: 1 } }), e.ints([out, channels, 1, 1])]);
  }
  if (typeof pixels !== "number") throw new TypeError("the gradient of a convolution's weight needs sizes that are numbers");
  const last = e.node("Transpose", [x!], { attrs: { perm: [0, 2, 3, 1] } });
  const padded = pads.every((p) => p === 0) ? last : e.node("Pad", [last, e.ints([0, top, left, 0, 0, bottom, right, 0])]);
  const width = fixedSize(xTensor, 3) + left + right;
  const height = fixedSize(xTensor, 2) + top + bottom;
  const byPixel = e.node("Reshape", [padded, e.ints([-1, height * width, channels])]);
  const across = fixedSize(dyTensor, 3);
  const index = Array.from({ length: pixels * area }, (_, n) => {
    const [pixel, k] = [Math.floor(n / area), n % area];
    const row = Math.floor(pixel / across) * stride + Math.floor(k / columns);
    return row * width + (pixel % across) * stride + (k % columns);
  });
  const windows = e.node("Gather", [byPixel, e.ints(index)], { attrs: { axis: 1 } });
  const byWindow = e.node("Reshape", [windows, e.ints([-1, area * channels])]);
  const product = e.node("Gemm", [byOutput, byWindow]);
  const split = e.node("Reshape", [product, e.ints([out, area, channels])]);
  const back = e.node("Transpose", [split], { attrs: { perm: [0, 2, 1] } });
  return e.node("Reshape", [back, e.ints([out, channels, rows, columns])]);
}
