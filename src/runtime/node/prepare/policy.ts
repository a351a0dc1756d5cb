import { attentionOp } from "../../../graph/ops/attention.ts";
import { layerNormOp } from "../../../graph/ops/normalise.ts";
import type { ParamAttrs } from "../../../graph/ops/source.ts";
import { is, type Tensor } from "../../../graph/tensor.ts";
import { elementCount } from "../../../weights/index.ts";

/** Version of the policy. A change makes all weights be prepared again: change it when the same weights are to be prepared differently. */
export const POLICY = "int8-7";

/** Layers that compute a single row for a picture or a prompt: they cost next to nothing, and everything depends on them. */
const FEW_ROWS = /(^|\.)(time_embedding|add_embedding|time_emb_proj|text_projection|visual_projection\w*|fuse_module)\./;
/** Smallest number of weights worth rounding: for fewer, quantising the input takes longer than the product. */
const SMALL = 2 ** 12;

/** First and last layers: they do a thousandth of the work, and rounding them is visible. */
const ENDS = /(^|\.)(conv_in|conv_out|patch_embedding|patch_embed\w*)\./;

/**
 * Convolutions of a VAE behind a norm. Elsewhere its values reach thousands next to values near one, and rounding would be visible.
 */
const BEHIND_NORM = /\.resnets\.\d+\.conv[12]\.weight$/;
/** Convolutions behind an upsampling. There is no norm before them, but their input is quantised to 16 bits. */
const UPSAMPLER = /\.upsamplers\.\d+\.conv\.weight$/;

/**
 * Decides whether a layer is computed in 8 bits.
 * @param model the pipeline's name of the layer's model, such as "unet"
 * @param branched convolutions with a LoRA: both the convolution and its LoRA branch stay in float32
 */
export function layerInEightBits({ path, entry }: ParamAttrs, model: string, branched: { has(path: string): boolean }): boolean {
  const [out, into, ...kernel] = entry.shape as [number, number, ...number[]];
  if (elementCount(entry.shape) < SMALL || out % 8 !== 0 || into % 8 !== 0 || FEW_ROWS.test(path)) return false;
  if (model === "vae") return BEHIND_NORM.test(path) || UPSAMPLER.test(path);
  return kernel.length === 0 || (kernel.every((n) => n === 1 || n === 3) && !ENDS.test(path) && !branched.has(path));
}

/**
 * Decides whether the rows of a linear layer's input are quantised with a shared range: pixels behind a layer norm, which makes them alike, and
 * behind attention, whose outputs are means. Elsewhere the ranges of rows may differ widely: tokens of a text (Zhao et al. 2024,
 * arXiv 2405.17873), patches of a photo, and outputs of a gate.
 */
export const sharesRange = (x: Tensor, model: string): boolean => model === "unet" && (is(x, layerNormOp) || is(x, attentionOp));

/** Smallest width of a head at which computing scores costs more than writing them. Of the known models only VAEs reach it, with one head of 512. */
const WIDE = 128;

/** Decides whether attention is computed in 8 bits. */
export const attentionInEightBits = (heads: number, width: number): boolean => heads === 1 && width >= WIDE;
