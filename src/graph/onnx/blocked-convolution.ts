import { type ConvAttrs, type ConvGradAttrs, conv2dOp, convInputGradOp, convWeightGradOp } from "../ops/convolution.ts";
import { paramOp } from "../ops/source.ts";
import { fixedSize, is, type Op, size, type Tensor } from "../tensor.ts";
import { convolutionLowerings, flippedPads } from "./convolution.ts";
import { type Emitter, type Lowering, lower } from "./emitter.ts";
import { shaped, transposed } from "./reshape.ts";

const NCHWC = { domain: "com.microsoft.nchwc" };
const plain = new Map<Op, Lowering>(convolutionLowerings);

/**
 * Convolutions and their gradients for x in ONNX Runtime's blocked layout for processors, [B, C/block, H, W, block]. ONNX Runtime converts
 * to it by itself where weights are constants, which trained ones are not. Where channels do not divide into blocks, convolutions stay plain.
 * @param block channels of one block, as this processor's kernels take them: see runtime/channel-block.ts
 * @see https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/optimizer/nchwc_transformer.cc
 */
export const blockedConvolutions = (block: number) => [
  lower(conv2dOp, (y, inputs, e) => {
    const [x, w, b] = inputs;
    if (!isBlockable(y, block)) return plain.get(conv2dOp as Op)!(y, inputs, e);
    const { stride, pads } = y.attrs;
    const [out, , rows, columns] = sizes(y.inputs[1]!);
    const weight = blockedWeight(y.inputs[1]!, w!, block, e);
    return blocked([x!, weight, ...(b === undefined ? [] : [b])], out, { stride, pads, kernel: [rows, columns] }, e);
  }),
  lower(convInputGradOp, (dx, inputs, e) => {
    const [dy, w] = inputs;
    if (dx.attrs.stride !== 1 || !isBlockable(dx, block)) return plain.get(convInputGradOp as Op)!(dx as Tensor, inputs, e);
    // a convolution with the kernel rotated by 180°, and with input and output channels exchanged
    const [out, into, rows, columns] = sizes(dx.inputs[1]!);
    const area = rows * columns;
    const squares = shaped(blockedWeight(dx.inputs[1]!, w!, block, e), [-1, block * block], e);
    const index = Array.from({ length: (out / block) * (into / block) * area }, (_, n) => {
      const [i, o, place] = [Math.floor((n * block) / (out * area)), Math.floor(n / area) % (out / block), n % area];
      return ((o * into) / block + i) * area + area - 1 - place;
    });
    const taken = e.node("Gather", [squares, e.ints(index)], { attrs: { axis: 0 } });
    const weight = shaped(transposed(taken, [-1, block, block], [0, 2, 1], e), [into, out, rows, columns], e);
    const pads = flippedPads([rows, columns], dx.attrs);
    return blocked([dy!, weight], into, { stride: 1, pads, kernel: [rows, columns] }, e);
  }),
  lower(convWeightGradOp, (dw, inputs, e) => {
    const batch = size(dw.inputs[0]!, 0);
    const [out, , rows, columns] = dw.shape as [number, number, number, number];
    const fits = typeof batch === "number" && batch % block === 0 && out % block === 0 && rows * columns > 1;
    return fits ? weightGrad(dw, inputs, { batch, block }, e) : plain.get(convWeightGradOp as Op)!(dw as Tensor, inputs, e);
  }),
];

/**
 * d(loss)/dw as a convolution whose kernels are dy: samples, over which it sums, are its channels, and each channel of x is a sample.
 *
 *     input [in, B, H, W] (x), kernels [out, B, H', W'] (dy)  ->  [in, out, k, k]
 *
 * No patches of x are copied, and the result has as many pixels as the kernel has weights.
 */
function weightGrad(
  dw: Tensor<ConvGradAttrs>,
  [dy, x]: readonly string[],
  { batch, block }: { readonly batch: number; readonly block: number },
  e: Emitter,
): string {
  const [out, into, rows, columns] = dw.shape as [number, number, number, number];
  const { stride, pads } = dw.attrs;
  const [[height, width], kernel] = [dw.inputs[1]!, dw.inputs[0]!].map((t) => [fixedSize(t, 2), fixedSize(t, 3)]) as [
    number[],
    number[],
  ];
  const blocks = batch / block;

  const last =
    blocks === 1
      ? transposed(x!, [batch, -1], [1, 0], e) // as a matrix transpose, which is faster
      : transposed(x!, [blocks, block, into, -1], [2, 0, 3, 1], e);
  // rows and columns that the last kernel window does not reach are cut off (negative padding)
  const around = [height!, width!].map((n, axis) => stride * (kernel[axis]! - 1) + [rows, columns][axis]! - pads[axis]! - n);
  const places = e.ints([0, pads[0], pads[1], 0, 0, ...around, 0]);
  const padded = e.node("Pad", [shaped(last, [-1, height!, width!, block], e), places]);
  const pictures = shaped(padded, [into, batch, pads[0] + height! + around[0]!, pads[1] + width! + around[1]!], e);

  const ordered = e.node("ReorderInput", [dy!], NCHWC);
  const area = kernel[0]! * kernel[1]!;
  const kernels =
    blocks === 1
      ? transposed(ordered, [batch, out / block, area, block], [1, 2, 0, 3], e)
      : transposed(ordered, [blocks, block, out / block, area, block], [2, 0, 3, 1, 4], e);
  const attrs = { dilations: [stride, stride], kernel_shape: kernel };
  const product = e.node("Conv", [pictures, shaped(kernels, [out, batch, ...kernel], e)], { ...NCHWC, attrs }); // [into, out/block, rows, columns, block]
  // in two transposes, for each of which ONNX Runtime has a fast path
  const outermost = transposed(product, [into, out / block, rows * columns * block], [1, 0, 2], e);
  return shaped(transposed(outermost, [out / block, into * rows * columns, block], [0, 2, 1], e), [out, into, rows, columns], e);
}

/** Whether t is a convolution with trained weights whose channels divide into blocks of the smallest usual size. */
export const isTrainedConvolution = (t: Tensor): boolean => is(t, conv2dOp) && isBlockable(t, SMALLEST);
const SMALLEST = 8;

function isBlockable({ inputs }: Tensor<ConvAttrs>, block: number): boolean {
  const weight = inputs[1]!;
  const [out, into, rows, columns] = sizes(weight);
  return !is(weight, paramOp) && out % block === 0 && into % block === 0 && rows * columns > 1;
}

const sizes = (w: Tensor): [number, number, number, number] =>
  [0, 1, 2, 3].map((axis) => fixedSize(w, axis)) as [number, number, number, number];

/** A weight in the order that the kernels read it: [out/block, in/block, rows, columns, in of the block, out of the block]. */
function blockedWeight(weight: Tensor, name: string, block: number, e: Emitter): string {
  const [out, into, rows, columns] = sizes(weight);
  const area = rows * columns;
  const rowsOfBlocks = transposed(name, [out / block, block, into * area], [0, 2, 1], e);
  const index = Array.from({ length: (out / block) * into * area }, (_, n) => {
    const [o, i] = [Math.floor(n / (area * into)), Math.floor(n / (block * area)) % (into / block)];
    return (o * into + i * block + (n % block)) * area + (Math.floor(n / block) % area);
  });
  const taken = e.node("Gather", [shaped(rowsOfBlocks, [-1, block], e), e.ints(index)], { attrs: { axis: 0 } });
  return shaped(taken, [out, into, rows, columns], e);
}

interface Geometry {
  readonly stride: number;
  readonly pads: readonly number[];
  readonly kernel: readonly [number, number];
}

function blocked([x, ...weights]: readonly string[], channels: number, { stride, pads, kernel }: Geometry, e: Emitter): string {
  const ordered = e.node("ReorderInput", [x!], NCHWC);
  const attrs = { strides: [stride, stride], pads, kernel_shape: kernel };
  const y = e.node("Conv", [ordered, ...weights], { ...NCHWC, attrs });
  return e.node("ReorderOutput", [y], { ...NCHWC, attrs: { channels } });
}
