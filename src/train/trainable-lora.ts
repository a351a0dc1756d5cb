import { weightOf } from "../graph/layer-weight.ts";
import { lowRank } from "../graph/lora.ts";
import { add } from "../graph/ops/elementwise.ts";
import type { Rule } from "../graph/rewrite.ts";
import type { TrainableWeights } from "./trainable-weights.ts";

/** Linear layers of and around the transformer blocks: attention, feed-forward, and the projections in and out. */
export const TRANSFORMER_LAYERS = /\.(attn[12]\.(to_[qkv]|to_out\.0)|ff\.net\.(0\.proj|2)|proj_in|proj_out)\.weight$/;

/**
 * Adds trainable low-rank branches to frozen layers: Hu et al. 2021 (arXiv 2106.09685), section 4. `lora_A` is random and `lora_B` zero at
 * first, so that training begins from the unchanged model.
 * @param weights receive `<layer>.lora_A.weight` [rank, in] and `<layer>.lora_B.weight` [out, rank], PEFT's names
 */
export const trainableLora =
  (weights: TrainableWeights, rank: number, layers: RegExp): Rule =>
  (y) => {
    const weight = weightOf(y);
    if (weight === undefined || !layers.test(weight.attrs.path)) return undefined;
    const layer = weight.attrs.path.replace(/\.weight$/, "");
    const [out, into, ...kernel] = weight.shape as number[];
    const fanIn = into! * kernel.reduce((a, b) => a * b, 1);
    const down = weights.param(`${layer}.lora_A.weight`, [rank, into!, ...kernel], { uniform: 1 / Math.sqrt(fanIn) });
    const up = weights.param(`${layer}.lora_B.weight`, [out!, rank, ...kernel.map(() => 1)], "zeros");
    return add(y, lowRank(y, down, up, 1));
  };
