import { apply, type Op, shapeText, size, type Tensor } from "../tensor.ts";
import type { ParamAttrs } from "./source.ts";

/** A matrix in 8 bits: column j stands for weight[:, j] · scales[j]. */
export interface QuantisedWeight {
  /** I8 [in, out] */
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
