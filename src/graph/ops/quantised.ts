import { addDims, ceilDim, type Dim, mulDims } from "../dim.ts";
import { apply, type Op, shapeText, size, type Tensor } from "../tensor.ts";
import { attentionOp } from "./attention.ts";
import { type Layout, pixelsOf, toChannelsFirst } from "./channels.ts";
import type { ConvAttrs } from "./convolution.ts";
import type { ParamAttrs } from "./source.ts";

/** A matrix quantised to 8 bits: column j stands for weight[:, j] · scales[j]. */
export interface QuantisedWeight {
  /** I8 [in, out] */
  readonly weight: ParamAttrs;
  /** F32 [out] */
  readonly scales: ParamAttrs;
}

export interface QuantisedLinear extends QuantisedWeight {
  /** Whether each row of x is quantised by its own range, or all rows by a shared one. */
  readonly range: "perRow" | "shared";
}

export const quantisedLinearOp: Op<QuantisedLinear> = {
  name: "quantisedLinear",
  shape: ([x], { weight }) => {
    const [into, out] = weight.entry.shape as [number, number];
    if (size(x!, -1) !== into) throw new TypeError(`input ${shapeText(x!.shape)} does not fit ${weight.path} [${into}, ${out}]`);
    return [...x!.shape.slice(0, -1), out];
  },
};

/**
 * A linear layer with a weight of 8 bits. x is quantised to 8 bits too, each row by its own range or all rows by a common one, and the product is
 * summed in integers: Dettmers et al. 2022 (arXiv 2208.07339), section 2.1, vector-wise quantisation.
 * @param x [..., in] @param bias [out]
 * @returns [..., out]
 */
export const quantisedLinear = (
  x: Tensor,
  weight: QuantisedWeight,
  bias?: Tensor,
  range: QuantisedLinear["range"] = "perRow",
): Tensor => apply(quantisedLinearOp, bias === undefined ? [x] : [x, bias], { ...weight, range });

export interface QuantisedKernel extends QuantisedWeight, ConvAttrs {
  readonly kernel: number;
  /** Layout of x; the result is channels last. */
  readonly layout: Layout;
}

export const quantisedConvOp: Op<QuantisedKernel> = {
  name: "quantisedConv",
  shape: ([x], { weight, kernel, stride, pads, layout }) => {
    const [into, out] = weight.entry.shape as [number, number];
    const { batch, height, width, channels } = pixelsOf(x!, layout);
    if (channels * kernel ** 2 !== into)
      throw new TypeError(`input ${shapeText(x!.shape)} does not fit ${weight.path} [${into}, ${out}] of ${kernel}x${kernel}`);
    const along = (size: Dim, pad: number): Dim => ceilDim(addDims(size, pad + 1 - kernel), stride);
    return [batch, along(height, pads[0] + pads[2]), along(width, pads[1] + pads[3]), out];
  },
};

/**
 * A convolution with a weight of 8 bits: x is quantised to 8 bits by its own range, and the product is summed in integers.
 * @param x [B, C, H, W]
 * @param kernel weight I8 [k·k·C, out]: rows by place in the kernel first, then by channel
 * @param bias [out]
 * @returns [B, out, H', W']
 */
export const quantisedConv = (x: Tensor, kernel: Omit<QuantisedKernel, "layout">, bias?: Tensor): Tensor =>
  channelsFirst(quantisedConvOp, x, { ...kernel, layout: "channelsFirst" }, bias);

export interface QuantisedUpsampling extends QuantisedWeight {
  /** Layout of x; the result is channels last. */
  readonly layout: Layout;
}

export const quantisedUpsampledConvOp: Op<QuantisedUpsampling> = {
  name: "quantisedUpsampledConv",
  shape: ([x], { weight, layout }) => {
    const [into, out] = weight.entry.shape as [number, number];
    const { batch, height, width, channels } = pixelsOf(x!, layout);
    if (4 * channels !== into) throw new TypeError(`input ${shapeText(x!.shape)} does not fit ${weight.path} [${into}, ${out}]`);
    return [batch, mulDims(height, 2), mulDims(width, 2), out / 4];
  },
};

/**
 * Upsampling by 2 and the 3x3 convolution behind it, with a weight of 8 bits (`runtime/prepare/corner-kernel.ts` draws it). No norm stands
 * before it, so x keeps 16 bits, as the sum of two pictures of 8.
 * @param x [B, C, H, W]
 * @param kernel weight I8 [4·C, 4·out], applied at each corner where four pixels of x meet: rows by which of the four and then channel,
 * columns by which of the four pixels of the result that meet there and then output
 * @param bias [out]
 * @returns [B, out, 2H, 2W]
 */
export const quantisedUpsampledConv = (x: Tensor, kernel: Omit<QuantisedUpsampling, "layout">, bias?: Tensor): Tensor =>
  channelsFirst(quantisedUpsampledConvOp, x, { ...kernel, layout: "channelsFirst" }, bias);

const channelsFirst = <A>(op: Op<A>, x: Tensor, attrs: A, bias: Tensor | undefined): Tensor =>
  toChannelsFirst(apply(op, bias === undefined ? [x] : [x, bias], attrs));

export interface QuantisedAttention {
  /** Whether the second factor's bytes are unsigned: slower, but right on processors whose products of two signed bytes are not. */
  readonly unsigned: boolean;
}

export const quantisedAttentionOp: Op<QuantisedAttention> = {
  name: "quantisedAttention",
  shape: ([q, k, v]) => attentionOp.shape([q!, k!, v!], { heads: 1, causal: false }),
};

/**
 * Attention with one head as products of 8 bits: q and k are quantised to 8 bits by their own range, v by that of each channel. The attention
 * weights of a row are divided by the largest and kept in 16 bits, so that many small ones are not lost beside a large one.
 * @param q [B, S, D] @param k [B, T, D] @param v [B, T, E]
 * @returns [B, S, E]
 */
export const quantisedAttention = (q: Tensor, k: Tensor, v: Tensor, attrs: QuantisedAttention): Tensor =>
  apply(quantisedAttentionOp, [q, k, v], attrs);
