import { addDims, ceilDim, type Dim } from "../dim.ts";
import { apply, type Op, shapeText, size, type Tensor } from "../tensor.ts";
import type { ConvAttrs } from "./convolution.ts";
import type { ParamAttrs } from "./source.ts";

/** A matrix in 8 bits: column j stands for weight[:, j] · scales[j], where it is signed, and for (weight[:, j] - 128) · scales[j], where it is not. */
export interface QuantisedWeight {
  /** I8 or U8 [in, out] */
  readonly weight: ParamAttrs;
  /** F32 [out] */
  readonly scales: ParamAttrs;
}

export const quantisedLinearOp: Op<QuantisedWeight> = {
  name: "quantisedLinear",
  shape: ([x], { weight }) => {
    const [into, out] = weight.entry.shape as [number, number];
    if (size(x!, -1) !== into) throw new TypeError(`input ${shapeText(x!.shape)} does not fit ${weight.path} [${into}, ${out}]`);
    return [...x!.shape.slice(0, -1), out];
  },
};

/**
 * A linear layer whose weight has 8 bits. Each row of x is rounded to 8 bits of its own range, and the product is summed in whole
 * numbers: Dettmers et al. 2022 (arXiv 2208.07339), section 2.1, vector-wise quantisation.
 * @param x [..., in] @param bias [out]
 * @returns [..., out]
 */
export const quantisedLinear = (x: Tensor, weight: QuantisedWeight, bias?: Tensor): Tensor =>
  apply(quantisedLinearOp, bias === undefined ? [x] : [x, bias], weight);

export interface QuantisedKernel extends QuantisedWeight, ConvAttrs {
  readonly kernel: number;
}

export const quantisedConvOp: Op<QuantisedKernel> = {
  name: "quantisedConv",
  shape: ([x], { weight, kernel, stride, pads }) => {
    const [into, out] = weight.entry.shape as [number, number];
    if ((size(x!, 1) as number) * kernel ** 2 !== into)
      throw new TypeError(`input ${shapeText(x!.shape)} does not fit ${weight.path} [${into}, ${out}] of ${kernel}x${kernel}`);
    const along = (axis: number, pad: number): Dim => ceilDim(addDims(size(x!, axis), pad + 1 - kernel), stride);
    return [size(x!, 0), out, along(2, pads[0] + pads[2]), along(3, pads[1] + pads[3])];
  },
};

/**
 * A convolution whose weight has 8 bits: x is rounded to 8 bits of its own range, and the product is summed in whole numbers.
 * @param x [B, C, H, W]
 * @param kernel weight I8 or U8 [k·k·C, out]: rows lie by place in the window first, then by channel
 * @param bias [out]
 */
export const quantisedConv = (x: Tensor, kernel: QuantisedKernel, bias?: Tensor): Tensor =>
  apply(quantisedConvOp, bias === undefined ? [x] : [x, bias], kernel);
