import { type Dim, namedDim } from "../graph/dim.ts";
import { silu } from "../graph/ops/activation.ts";
import { add } from "../graph/ops/elementwise.ts";
import { concat, reshape, slice } from "../graph/ops/layout.ts";
import { upsample } from "../graph/ops/resample.ts";
import { input } from "../graph/ops/source.ts";
import { fixedSize, size, type Tensor } from "../graph/tensor.ts";
import type { Weights } from "../graph/weights.ts";
import { conv2d, groupNorm, linear } from "../nn/layers.ts";
import { sinusoid } from "../nn/sinusoid.ts";
import { resnetBlock } from "./resnet-block.ts";
import { spatialTransformer } from "./spatial-transformer.ts";

/** Transformer blocks after each residual block of a level: as many after each, or one number for each, in their order. */
export type Depth = number | readonly number[];

const depthAt = (depth: Depth, i: number): number => (typeof depth === "number" ? depth : depth[i]!);

export interface UNetConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  /** Channels, level by level from the finest. */
  readonly channels: readonly number[];
  /** Transformer blocks after each residual block of a level, on the way down; 0: the level has no attention. */
  readonly depth: readonly Depth[];
  /** Transformer blocks of the middle block, whose level may have none on the way down. */
  readonly midDepth: number;
  /** Transformer blocks on the way up, also from the finest level on. */
  readonly upDepth: readonly Depth[];
  /** What the middle has: two residual blocks around its transformers, unless said otherwise; one alone in SSD-1B and Segmind Vega, none in KOALA-700M. */
  readonly middle?: "resnet" | "none";
  /** Attention heads, level by level. */
  readonly heads: readonly number[];
  readonly layersPerBlock: number;
  readonly groups: number;
  readonly contextDim: number;
  /** Width of the pooled text vector. */
  readonly pooledDim: number;
  /** Width of the embedding of each of the six numbers in `timeIds`. */
  readonly timeIdDim: number;
  readonly linearProjection: boolean;
}

/** Whether any level has transformers. */
export const hasAttention = ({ depth, midDepth, upDepth }: Pick<UNetConfig, "depth" | "midDepth" | "upDepth">): boolean =>
  [...depth, midDepth, ...upDepth].flat().some((blocks) => blocks > 0);

export interface UNetInputs {
  readonly latents: Tensor; // [B, inChannels, H, W]
  readonly timestep: Tensor; // [B] or [1]
  readonly context: Tensor; // [B, T, contextDim]
  readonly pooled: Tensor; // [B, pooledDim]
  readonly timeIds: Tensor; // [B, 6]: original height, width, crop top, left, target height, width
}

/** Sizes of a UNet's inputs; those that are absent are named. */
export interface UNetInputSizes {
  readonly batch?: Dim;
  /** Of the latents. */
  readonly height?: Dim;
  readonly width?: Dim;
  /** Tokens of the context. */
  readonly tokens?: Dim;
  /** One timestep for all rows, or one for each. */
  readonly timesteps?: Dim;
}

/** Makes a UNet's inputs, each named as it is in {@link UNetInputs}. */
export const unetInputs = (
  { inChannels, contextDim, pooledDim }: Pick<UNetConfig, "inChannels" | "contextDim" | "pooledDim">,
  {
    batch = namedDim("batch"),
    height = namedDim("height"),
    width = namedDim("width"),
    tokens = namedDim("tokens"),
    timesteps = 1,
  }: UNetInputSizes = {},
): UNetInputs => ({
  latents: input("latents", [batch, inChannels, height, width]),
  timestep: input("timestep", [timesteps]),
  context: input("context", [batch, tokens, contextDim]),
  pooled: input("pooled", [batch, pooledDim]),
  timeIds: input("timeIds", [batch, 6]),
});

function embedding(x: Tensor, w: Weights, out: number): Tensor {
  return linear(silu(linear(x, w.at("linear_1"), { out })), w.at("linear_2"), { out });
}

/**
 * The denoiser of Stable Diffusion XL: Podell et al. 2023 (arXiv 2307.01952), section 2.1.
 * Takes any height and width: halves are rounded up, and the way up cuts its upsampled pictures to the skip's size, as diffusers does.
 * @param w keys as in diffusers' UNet2DConditionModel
 * @returns [B, outChannels, H, W]
 * @see diffusers 58eb52c src/diffusers/models/unets/unet_2d_condition.py
 */
export function unet({ latents, timestep, context, pooled, timeIds }: UNetInputs, w: Weights, config: UNetConfig): Tensor {
  const { channels, heads, layersPerBlock, groups, linearProjection } = config;
  const first = channels[0]!;
  const ids = sinusoid(timeIds, config.timeIdDim);
  const added = concat([pooled, reshape(ids, [size(ids, 0), fixedSize(ids, 1) * config.timeIdDim])], 1);
  const temb = add(
    embedding(sinusoid(timestep, first), w.at("time_embedding"), first * 4),
    embedding(added, w.at("add_embedding"), first * 4),
  );
  const resnet = (x: Tensor, at: Weights, out: number): Tensor => resnetBlock(x, temb, at, { out, groups, eps: 1e-5 });
  const block = (x: Tensor, at: Weights, i: number, level: number, depth: number): Tensor => {
    const y = resnet(x, at.at("resnets", i), channels[level]!);
    if (depth === 0) return y;
    const options = { depth, heads: heads[level]!, groups, linearProjection };
    return spatialTransformer(y, context, at.at("attentions", i), options);
  };

  let x = conv2d(latents, w.at("conv_in"), { out: first, kernel: 3, pad: 1 });
  const skips = [x];
  const last = channels.length - 1;
  for (let level = 0; level <= last; level++) {
    const at = w.at("down_blocks", level);
    for (let i = 0; i < layersPerBlock; i++) {
      x = block(x, at, i, level, depthAt(config.depth[level]!, i));
      skips.push(x);
    }
    if (level === last) continue;
    x = conv2d(x, at.at("downsamplers", 0, "conv"), { out: channels[level]!, kernel: 3, stride: 2, pad: 1 });
    skips.push(x);
  }

  const mid = w.at("mid_block");
  if (config.middle !== "none") x = block(x, mid, 0, last, config.midDepth);
  if (config.middle === undefined) x = resnet(x, mid.at("resnets", 1), channels[last]!);

  for (let level = last; level >= 0; level--) {
    const at = w.at("up_blocks", last - level);
    for (let i = 0; i <= layersPerBlock; i++)
      x = block(concat([x, skips.pop()!], 1), at, i, level, depthAt(config.upDepth[level]!, i));
    if (level === 0) continue;
    const next = skips.at(-1)!;
    const fitted = slice(slice(upsample(x, 2), 2, 0, size(next, 2)), 3, 0, size(next, 3));
    x = conv2d(fitted, at.at("upsamplers", 0, "conv"), { out: channels[level]!, kernel: 3, pad: 1 });
  }
  const normal = silu(groupNorm(x, w.at("conv_norm_out"), { groups }));
  return conv2d(normal, w.at("conv_out"), { out: config.outChannels, kernel: 3, pad: 1 });
}
