import { addDims, ceilDim, type Dim } from "../dim.ts";
import { apply, type Op, size, type Tensor } from "../tensor.ts";
import { kernelWindows } from "./depthwise.ts";
import { add, relu, sub } from "./elementwise.ts";

export interface MaxPoolAttrs {
  readonly kernel: number;
  readonly stride: number;
}

export const maxPoolOp: Op<MaxPoolAttrs> = {
  name: "maxPool",
  shape: ([x], { kernel, stride }) => {
    const out = (axis: number): Dim => ceilDim(addDims(size(x!, axis), 1 - kernel), stride);
    return [size(x!, 0), size(x!, 1), out(2), out(3)];
  },
  expand: ([x], { kernel, stride }) => {
    let most: Tensor | undefined;
    for (const { shifted } of kernelWindows(x!, { stride, pads: [0, 0, 0, 0], kernel: [kernel, kernel] }))
      most = most === undefined ? shifted : add(most, relu(sub(shifted, most)));
    return most!;
  },
};
/** Largest value of each window of kernel x kernel pixels of [B, C, H, W]; windows that reach over the border are left out. */
export const maxPool = (x: Tensor, kernel: number, stride = kernel): Tensor => apply(maxPoolOp, [x], { kernel, stride });
