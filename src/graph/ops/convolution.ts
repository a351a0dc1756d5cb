import { addDims, ceilDim, type Dim, sameDim } from "../dim.ts";
import { apply, type Op, type Shape, shapeText, size, type Tensor } from "../tensor.ts";
import { reduceSum } from "./layout.ts";

export interface ConvAttrs {
  readonly stride: number;
  /** Zeros added: top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number];
}
export const conv2dOp: Op<ConvAttrs> = {
  name: "conv2d",
  shape: ([x, w], { stride, pads }) => {
    if (!sameDim(size(x!, 1), size(w!, 1)))
      throw new TypeError(`input ${shapeText(x!.shape)} does not fit weight ${shapeText(w!.shape)}`);
    // floor((n + pad - k) / stride) + 1 = ceil((n + pad - k + 1) / stride)
    const out = (axis: number, pad: number): Dim =>
      ceilDim(addDims(size(x!, axis), pad + 1, -(size(w!, axis) as number)), stride);
    return [size(x!, 0), size(w!, 0), out(2, pads[0] + pads[2]), out(3, pads[1] + pads[3])];
  },
  gradient: (dy, { inputs: [x, w], attrs }) => [
    () => apply(convInputGradOp, [dy, w!], { ...attrs, shape: x!.shape }),
    () => apply(convWeightGradOp, [dy, x!], { ...attrs, shape: w!.shape }),
    () => reduceSum(dy, [0, 2, 3]),
  ],
};
/** x [B, C, H, W], w [out, C, k, k], b [out]. */
export const conv2d = (x: Tensor, w: Tensor, b: Tensor | undefined, attrs: ConvAttrs): Tensor =>
  apply(conv2dOp, b === undefined ? [x, w] : [x, w, b], attrs);

/** The convolution's attributes, and the shape of the gradient. */
export interface ConvGradAttrs extends ConvAttrs {
  readonly shape: Shape;
}
/** d(loss)/dx of conv2d from dy [B, out, H', W'] and w. */
export const convInputGradOp: Op<ConvGradAttrs> = { name: "convInputGrad", shape: (_, { shape }) => shape };
/** d(loss)/dw of conv2d from dy [B, out, H', W'] and x. */
export const convWeightGradOp: Op<ConvGradAttrs> = { name: "convWeightGrad", shape: (_, { shape }) => shape };
