import { type ConvAttrs, type ConvGradAttrs, conv2dOp, convInputGradOp, convWeightGradOp } from "../ops/convolution.ts";
import { fixedSize, type Tensor } from "../tensor.ts";
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

/** Padding of dy with which a convolution of stride 1, its kernel rotated by 180°, gives one pixel for each pixel of x. */
export function flippedPads([rows, columns]: readonly [number, number], { pads }: Pick<ConvAttrs, "pads">): number[] {
  const [top, left, bottom, right] = pads;
  return [rows - 1 - top, columns - 1 - left, rows - 1 - bottom, columns - 1 - right];
}

/** A convolution with the kernel rotated by 180°, input and output channels exchanged: faster than ConvTranspose. */
function flippedConv(dx: Tensor<ConvAttrs>, dy: string, w: string, e: Emitter): string {
  const kernel = kernelOf(dx.inputs[1]!);
  const attrs = { strides: [1, 1], pads: flippedPads(kernel, dx.attrs), kernel_shape: kernel };
  return e.node("Conv", [dy, flipped(dx.inputs[1]!, w, e)], { attrs });
}

function flipped(w: Tensor, name: string, e: Emitter): string {
  const [rows, columns] = kernelOf(w);
  const area = rows * columns;
  const exchanged = e.node("Transpose", [name], { attrs: { perm: [1, 0, 2, 3] } });
  if (area === 1) return exchanged;
  // a product with the mirrored unit matrix: twice as fast as a Slice with steps of -1
  const places = Array.from({ length: area * area }, (_, i) => ((i % area) + Math.floor(i / area) === area - 1 ? 1 : 0));
  const mirrored = e.node("MatMul", [e.node("Reshape", [exchanged, e.ints([-1, area])]), e.floats(places, [area, area])]);
  return e.node("Reshape", [mirrored, e.ints([fixedSize(w, 1), fixedSize(w, 0), rows, columns])]);
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

/**
 * d(loss)/dw as one matrix product over all pixels of all samples. One factor has a row for each kernel window (im2col, channels last),
 * gathered by row number: of x, or of dy where that has fewer channels.
 */
function weightGrad(dw: Tensor<ConvGradAttrs>, [dy, x]: readonly string[], e: Emitter): string {
  const [dyTensor, xTensor] = dw.inputs as [Tensor, Tensor];
  const { stride, pads } = dw.attrs;
  const [out, channels, rows, columns] = dw.shape as [number, number, number, number];
  const area = rows * columns;
  const byChannel = (name: string, count: number): string =>
    e.node("Reshape", [e.node("Transpose", [name], { attrs: { perm: [1, 0, 2, 3] } }), e.ints([count, -1])]);
  const back = (product: string, split: readonly number[], perm: readonly number[]): string => {
    const transposed = e.node("Transpose", [e.node("Reshape", [product, e.ints(split)])], { attrs: { perm } });
    return e.node("Reshape", [transposed, e.ints([out, channels, rows, columns])]);
  };
  if (area === 1 && stride === 1 && pads.every((p) => p === 0)) {
    const product = e.node("Gemm", [byChannel(dy!, out), byChannel(x!, channels)], { attrs: { transB: 1 } });
    return e.node("Reshape", [product, e.ints([out, channels, 1, 1])]);
  }
  if (stride === 1 && out < channels) {
    const around = flippedPads([rows, columns], dw.attrs);
    const windows = windowRows(dyTensor, dy!, xTensor, { stride, pads: around, kernel: [rows, columns], flipped: true }, e);
    return back(e.node("Gemm", [byChannel(x!, channels), windows]), [channels, area, out], [2, 0, 1]);
  }
  const windows = windowRows(xTensor, x!, dyTensor, { stride, pads, kernel: [rows, columns], flipped: false }, e);
  return back(e.node("Gemm", [byChannel(dy!, out), windows]), [out, area, channels], [0, 2, 1]);
}

interface KernelWindow {
  readonly stride: number;
  readonly pads: readonly number[];
  readonly kernel: readonly [number, number];
  /** Whether the kernel's weights are taken in reverse order, that is rotated by 180°. */
  readonly flipped: boolean;
}

/** im2col: for each pixel of `over`, the values of x in its kernel window: [pixels of all samples, kernel area · channels of x]. */
function windowRows(x: Tensor, name: string, over: Tensor, { stride, pads, kernel, flipped }: KernelWindow, e: Emitter): string {
  const [top, left, bottom, right] = pads as [number, number, number, number];
  const [rows, columns] = kernel;
  const area = rows * columns;
  const channels = fixedSize(x, 1);
  const [height, width] = [fixedSize(x, 2) + top + bottom, fixedSize(x, 3) + left + right];
  const across = fixedSize(over, 3);
  const index = Array.from({ length: fixedSize(over, 2) * across * area }, (_, n) => {
    const pixel = Math.floor(n / area);
    const place = flipped ? area - 1 - (n % area) : n % area;
    const row = Math.floor(pixel / across) * stride + Math.floor(place / columns);
    return row * width + (pixel % across) * stride + (place % columns);
  });
  const last = e.node("Transpose", [name], { attrs: { perm: [0, 2, 3, 1] } });
  const padded = pads.every((p) => p === 0) ? last : e.node("Pad", [last, e.ints([0, top, left, 0, 0, bottom, right, 0])]);
  const byPixel = e.node("Reshape", [padded, e.ints([-1, height * width, channels])]);
  const windows = e.node("Gather", [byPixel, e.ints(index)], { attrs: { axis: 1 } });
  return e.node("Reshape", [windows, e.ints([-1, area * channels])]);
}
