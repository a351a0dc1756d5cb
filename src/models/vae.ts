import { silu } from "../graph/ops/activation.ts";
import { attention } from "../graph/ops/attention.ts";
import { toChannelsFirst, toChannelsLast } from "../graph/ops/channels.ts";
import { add } from "../graph/ops/elementwise.ts";
import { reshape, slice } from "../graph/ops/layout.ts";
import { upsample } from "../graph/ops/resample.ts";
import { fixedSize, type Tensor } from "../graph/tensor.ts";
import type { Weights } from "../graph/weights.ts";
import { conv2d, groupNorm, linear } from "../nn/layers.ts";
import { resnetBlock } from "./resnet-block.ts";

export interface VaeConfig {
  readonly imageChannels: number;
  readonly latentChannels: number;
  readonly channels: readonly number[];
  readonly layersPerBlock: number;
  readonly groups: number;
  readonly midAttention: boolean;
  readonly quantConv: boolean;
  readonly postQuantConv: boolean;
  /** Factor of latents before the denoiser. */
  readonly scalingFactor: number;
  readonly shiftFactor: number;
  /** Mean and deviation of each channel of the latents, where the denoiser's are without them. */
  readonly latentsMean?: readonly number[];
  readonly latentsStd?: readonly number[];
}

const EPS = 1e-6;

function midBlock(x: Tensor, w: Weights, { groups, midAttention }: VaeConfig): Tensor {
  const out = fixedSize(x, 1);
  x = resnetBlock(x, undefined, w.at("resnets", 0), { out, groups, eps: EPS });
  if (midAttention) x = pixelAttention(x, w.at("attentions", 0), groups);
  return resnetBlock(x, undefined, w.at("resnets", 1), { out, groups, eps: EPS });
}

/** Self-attention of all pixels, with one head. */
function pixelAttention(x: Tensor, w: Weights, groups: number): Tensor {
  const [b, , h, wd] = x.shape;
  const out = fixedSize(x, 1);
  const rows = reshape(toChannelsLast(groupNorm(x, w.at("group_norm"), { groups, eps: EPS })), [b!, -1, out]);
  const [q, k, v] = ["to_q", "to_k", "to_v"].map((key) => linear(rows, w.at(key), { out }));
  const y = linear(attention(q!, k!, v!, { heads: 1, causal: false }), w.at("to_out", 0), { out });
  return add(x, toChannelsFirst(reshape(y, [b!, h!, wd!, out])));
}

/**
 * Encodes pictures to latents: Rombach et al. 2021 (arXiv 2112.10752), section 3.1.
 * @param x [B, 3, H, W] in [-1, 1]
 * @param w keys as in diffusers' AutoencoderKL
 * @returns mean and logarithm of the variance, [B, latentChannels, H/8, W/8] each, not yet scaled (8 is 2 for each level but the last)
 */
export function vaeEncode(x: Tensor, w: Weights, config: VaeConfig): { mean: Tensor; logVariance: Tensor } {
  const { channels, layersPerBlock, groups, latentChannels } = config;
  const at = w.at("encoder");
  x = conv2d(x, at.at("conv_in"), { out: channels[0]!, kernel: 3, pad: 1 });
  channels.forEach((out, level) => {
    const down = at.at("down_blocks", level);
    for (let i = 0; i < layersPerBlock; i++) x = resnetBlock(x, undefined, down.at("resnets", i), { out, groups, eps: EPS });
    if (level < channels.length - 1)
      x = conv2d(x, down.at("downsamplers", 0, "conv"), { out, kernel: 3, stride: 2, pad: [0, 0, 1, 1] });
  });
  x = midBlock(x, at.at("mid_block"), config);
  x = silu(groupNorm(x, at.at("conv_norm_out"), { groups, eps: EPS }));
  x = conv2d(x, at.at("conv_out"), { out: 2 * latentChannels, kernel: 3, pad: 1 });
  if (config.quantConv) x = conv2d(x, w.at("quant_conv"), { out: 2 * latentChannels, kernel: 1 });
  return { mean: slice(x, 1, 0, latentChannels), logVariance: slice(x, 1, latentChannels, latentChannels) };
}

/**
 * Decodes latents to pictures.
 * @param z [B, latentChannels, h, w], already divided by the scaling factor
 * @param w keys as in diffusers' AutoencoderKL
 * @returns [B, 3, 8h, 8w], about in [-1, 1] (8 is 2 for each level but the last)
 */
export function vaeDecode(z: Tensor, w: Weights, config: VaeConfig): Tensor {
  const { channels, layersPerBlock, groups, latentChannels } = config;
  if (config.postQuantConv) z = conv2d(z, w.at("post_quant_conv"), { out: latentChannels, kernel: 1 });
  const at = w.at("decoder");
  let x = conv2d(z, at.at("conv_in"), { out: channels.at(-1)!, kernel: 3, pad: 1 });
  x = midBlock(x, at.at("mid_block"), config);
  channels.toReversed().forEach((out, level) => {
    const up = at.at("up_blocks", level);
    for (let i = 0; i <= layersPerBlock; i++) x = resnetBlock(x, undefined, up.at("resnets", i), { out, groups, eps: EPS });
    if (level < channels.length - 1) x = conv2d(upsample(x, 2), up.at("upsamplers", 0, "conv"), { out, kernel: 3, pad: 1 });
  });
  x = silu(groupNorm(x, at.at("conv_norm_out"), { groups, eps: EPS }));
  return conv2d(x, at.at("conv_out"), { out: config.imageChannels, kernel: 3, pad: 1 });
}
