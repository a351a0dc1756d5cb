import { addDims, ceilDim, type Dim, sameDim } from "../dim.ts";
import { apply, fixedSize, type Op, shapeText, size, type Tensor } from "../tensor.ts";
import type { ConvAttrs } from "./convolution.ts";
import { add, mul } from "./elementwise.ts";
import { everyNth } from "./every-nth.ts";
import { pad, reshape, slice } from "./layout.ts";

/** Convolution in which each channel has a kernel of its own, and sees no other channel. */
export const depthwiseConvOp: Op<ConvAttrs> = {
  name: "depthwiseConv",
  shape: ([x, w], { stride, pads }) => {
    if (!sameDim(size(x!, 1), size(w!, 0)) || size(w!, 1) !== 1)
      throw new TypeError(`input ${shapeText(x!.shape)} does not fit a kernel for each channel ${shapeText(w!.shape)}`);
    const out = (axis: number, around: number): Dim => ceilDim(addDims(size(x!, axis), around + 1, -fixedSize(w!, axis)), stride);
    return [size(x!, 0), size(x!, 1), out(2, pads[0] + pads[2]), out(3, pads[1] + pads[3])];
  },
  /** The sum over the kernel's places of shifted pictures, each times its weight. */
  expand: ([x, w, b], attrs) => {
    const [channels, rows, columns] = [fixedSize(w!, 0), fixedSize(w!, 2), fixedSize(w!, 3)];
    let sum: Tensor | undefined;
    for (const { shifted, row, column } of kernelWindows(x!, { ...attrs, kernel: [rows, columns] })) {
      const weight = slice(slice(w!, 2, row, 1), 3, column, 1);
      const part = mul(shifted, reshape(weight, [1, channels, 1, 1]));
      sum = sum === undefined ? part : add(sum, part);
    }
    return b === undefined ? sum! : add(sum!, reshape(b, [1, channels, 1, 1]));
  },
};
/** x [B, C, H, W], w [C, 1, k, k], b [C]. */
export const depthwiseConv = (x: Tensor, w: Tensor, b: Tensor | undefined, attrs: ConvAttrs): Tensor =>
  apply(depthwiseConvOp, b === undefined ? [x, w] : [x, w, b], attrs);

/** For each place of a kernel, the picture as that place sees it: one value for each pixel of the result. Sizes must be fixed. */
export function* kernelWindows(
  x: Tensor,
  { stride, pads, kernel }: ConvAttrs & { readonly kernel: readonly [number, number] },
): Generator<{ shifted: Tensor; row: number; column: number }> {
  const [top, left, bottom, right] = pads;
  const [height, width] = [fixedSize(x, 2) + top + bottom, fixedSize(x, 3) + left + right];
  const padded = pads.every((p) => p === 0) ? x : pad(pad(x, 2, top, height), 3, left, width);
  const span = (whole: number, side: number): number => Math.floor((whole - side) / stride) * stride + 1;
  for (let row = 0; row < kernel[0]; row++)
    for (let column = 0; column < kernel[1]; column++) {
      const across = slice(slice(padded, 2, row, span(height, kernel[0])), 3, column, span(width, kernel[1]));
      yield { shifted: stride === 1 ? across : everyNth(everyNth(across, 2, stride), 3, stride), row, column };
    }
}
