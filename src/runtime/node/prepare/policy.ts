import { attentionOp } from "../../../graph/ops/attention.ts";
import { layerNormOp } from "../../../graph/ops/normalise.ts";
import type { ParamAttrs } from "../../../graph/ops/source.ts";
import { is, type Tensor } from "../../../graph/tensor.ts";
import { elementCount } from "../../../weights/index.ts";

/** Version of the policy: change it when the same weights are to be prepared differently, and they are prepared anew. */
export const POLICY = "int8-7";

/** Layers that compute a single row of a picture or a prompt: they cost next to nothing, and everything depends on them. */
const FEW_ROWS = /(^|\.)(time_embedding|add_embedding|time_emb_proj|text_projection|visual_projection\w*|fuse_module)\./;
/** Smallest number of weights worth rounding: below, quantising the input takes longer than the product. */
const SMALL = 2 ** 12;

/** First and last layers: a thousandth of the work, and rounding there is visible at once. */
const ENDS = /(^|\.)(conv_in|conv_out|patch_embedding|patch_embed\w*)\./;

/**
 * A VAE's convolutions behind a norm. Elsewhere its values reach into the thousands next to others near one, and rounding would be visible.
 */
const BEHIND_NORM = /\.resnets\.\d+\.conv[12]\.weight$/;
/** Convolutions behind an upsampling. No norm stands before them, but their input is kept in 16 bits. */
const UPSAMPLER = /\.upsamplers\.\d+\.conv\.weight$/;

/**
 * Whether a layer is computed in 8 bits.
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
 * Whether the rows of a linear layer's input are quantised with one common range: pixels behind a layer norm, which makes them alike, and behind
 * attention, whose results are means. Elsewhere a row may be far from the others: tokens of a text (Zhao et al. 2024, arXiv 2405.17873), patches
 * of a photo, and the outputs of a gate.
 */
export const sharesRange = (x: Tensor, model: string): boolean => model === "unet" && (is(x, layerNormOp) || is(x, attentionOp));

/** Width of a head from which computing scores costs more than writing them: reached by a VAE's one head of 512, and by no other that is known. */
const WIDE = 128;

/** Whether attention is computed in 8 bits. */
export const attentionInEightBits = (heads: number, width: number): boolean => heads === 1 && width >= WIDE;
