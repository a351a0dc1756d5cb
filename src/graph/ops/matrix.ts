import { addDims, ceilDim, type Dim, sameDim } from "../dim.ts";
import { apply, type Op, shapeText, size, type Tensor } from "../tensor.ts";
import { add, broadcastShapes } from "./elementwise.ts";
import { permute } from "./layout.ts";

export const matmulOp: Op = {
  name: "matmul",
  shape: ([a, b]) => {
    if (!sameDim(size(a!, -1), size(b!, -2)))
      throw new TypeError(`cannot multiply ${shapeText(a!.shape)} by ${shapeText(b!.shape)}`);
    const batch = broadcastShapes(a!.shape.slice(0, -2), b!.shape.slice(0, -2));
    return [...batch, size(a!, -2), size(b!, -1)];
  },
};
/** Matrix product over the last two axes. */
export const matmul = (a: Tensor, b: Tensor): Tensor => apply(matmulOp, [a, b], {});

export const linearOp: Op = {
  name: "linear",
  shape: ([x, w]) => {
    if (!sameDim(size(x!, -1), size(w!, 1)))
      throw new TypeError(`input ${shapeText(x!.shape)} does not fit weight ${shapeText(w!.shape)}`);
    return [...x!.shape.slice(0, -1), size(w!, 0)];
  },
  expand: ([x, w, b]) => {
    const y = matmul(x!, permute(w!, [1, 0]));
    return b === undefined ? y : add(y, b);
  },
};
/** x·Wᵀ (+ b) over the last axis: x [..., in], w [out, in], b [out]. */
export const linear = (x: Tensor, w: Tensor, b?: Tensor): Tensor => apply(linearOp, b === undefined ? [x, w] : [x, w, b], {});

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
};
/** x [B, C, H, W], w [out, C, k, k], b [out]. */
export const conv2d = (x: Tensor, w: Tensor, b: Tensor | undefined, attrs: ConvAttrs): Tensor =>
  apply(conv2dOp, b === undefined ? [x, w] : [x, w, b], attrs);
