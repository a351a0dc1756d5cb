import { attentionOp } from "../../../graph/ops/attention.ts";
import { layerNormOp } from "../../../graph/ops/normalise.ts";
import type { ParamAttrs } from "../../../graph/ops/source.ts";
import { is, type Tensor } from "../../../graph/tensor.ts";
import { elementCount } from "../../../weights/index.ts";

/** Changes when the same weights would be prepared otherwise: what was prepared before is then made anew. */
export const POLICY = "int8-7";

/** What is computed for one row of a picture or a prompt only: it costs next to nothing, and all that follows depends on it. */
const FEW_ROWS = /(^|\.)(time_embedding|add_embedding|time_emb_proj|text_projection|visual_projection\w*|fuse_module)\./;
/** Numbers below which a product is over before its rounding is. */
const SMALL = 2 ** 12;

/** Where the picture comes in and goes out: a thousandth of the work, and rounding there is seen at once. */
const ENDS = /(^|\.)(conv_in|conv_out|patch_embedding|patch_embed\w*)\./;

/**
 * In a VAE: what stands behind a norm. Elsewhere its values reach into the thousands beside others near one, and a picture shows each rounding.
 */
const BEHIND_NORM = /\.resnets\.\d+\.conv[12]\.weight$/;
/** Behind an enlargement there is no norm, but what goes into these convolutions has 16 bits. */
const UPSAMPLER = /\.upsamplers\.\d+\.conv\.weight$/;

/**
 * Whether a layer is computed in 8 bits.
 * @param model which of the pipeline's models it is in, such as "unet"
 * @param branched convolutions with a LoRA, whose branch stays beside them: they stay in float32 with it
 */
export function inEightBits({ path, entry }: ParamAttrs, model: string, branched: { has(path: string): boolean }): boolean {
  const [out, into, ...kernel] = entry.shape as [number, number, ...number[]];
  if (elementCount(entry.shape) < SMALL || out % 8 !== 0 || into % 8 !== 0 || FEW_ROWS.test(path)) return false;
  if (model === "vae") return BEHIND_NORM.test(path) || UPSAMPLER.test(path);
  return kernel.length === 0 || (kernel.every((n) => n === 1 || n === 3) && !ENDS.test(path) && !branched.has(path));
}

/**
 * Whether the rows of what goes into a linear layer are rounded with one range: pixels behind a layer norm, which has made them alike, and behind
 * attention, which gives means. Elsewhere a row may be far from the others: tokens of a text (Zhao et al. 2024, arXiv 2405.17873), patches of a
 * photo, and what a gate lets through.
 */
export const rowsTogether = (x: Tensor, model: string): boolean => model === "unet" && (is(x, layerNormOp) || is(x, attentionOp));

/** Width of a head from which scores cost more to compute than to write: a VAE's one head of 512, and no other that is known. */
const WIDE = 128;

/** Whether attention is computed in 8 bits. */
export const attentionInEightBits = (heads: number, width: number): boolean => heads === 1 && width >= WIDE;
