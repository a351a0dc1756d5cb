import { silu } from "../graph/ops/activation.ts";
import * as convolution from "../graph/ops/convolution.ts";
import { add } from "../graph/ops/elementwise.ts";
import { concat } from "../graph/ops/layout.ts";
import { depthToSpace, spaceToDepth, upsample, upsampleBicubic } from "../graph/ops/resample.ts";
import type { Tensor } from "../graph/tensor.ts";
import { fixedSize } from "../graph/tensor.ts";
import type { Weights } from "../graph/weights.ts";
import { conv2d, groupNorm } from "../nn/layers.ts";

export interface SharpDecoderConfig {
  /** Channels of each level; the first computes at the latents' size, each other at twice the one before, the last at the picture's. */
  readonly channels: readonly number[];
  /** Residual blocks of each level. */
  readonly blocks: readonly number[];
  /** Groups of the norms. The last level has none: they would cost more there than its convolutions. */
  readonly groups: number;
}

const EPS = 1e-6;

/**
 * Makes a picture of twice the size from what a VAE decodes: it adds to the picture, upsampled bicubically, the detail that it draws from the latents
 * and the picture. No layer computes at the new size.
 *
 *     latents + picture by blocks of 4 → blocks → upsample + picture by blocks of 2 → blocks → upsample + picture → blocks → depth to space
 *
 * @param z [B, C, h, w], as the VAE decodes them
 * @param picture [B, 3, f·h, f·w], decoded from `z` by the VAE; f is 2 for each level but the last
 * @param w holds `levels.N.conv_in`, `levels.N.blocks.M.{norm1,conv1,norm2,conv2}` and `conv_out`
 * @returns [B, 3, 2·f·h, 2·f·w], about in [-1, 1]
 */
export function sharpDecode(z: Tensor, picture: Tensor, w: Weights, { channels, blocks, groups }: SharpDecoderConfig): Tensor {
  let x = z;
  channels.forEach((out, level) => {
    const factor = 2 ** (channels.length - 1 - level);
    const seen = factor === 1 ? picture : spaceToDepth(picture, factor);
    const at = w.at("levels", level);
    x = conv2d(concat([level === 0 ? z : upsample(x, 2), seen], 1), at.at("conv_in"), { out, kernel: 3, pad: 1 });
    for (let i = 0; i < blocks[level]!; i++) x = block(x, at.at("blocks", i), out, factor === 1 ? undefined : groups);
  });
  const detail = lastConv(silu(x), w.at("conv_out"));
  return add(upsampleBicubic(picture, 2), depthToSpace(detail, 2));
}

function block(x: Tensor, w: Weights, out: number, groups: number | undefined): Tensor {
  const half = (y: Tensor, n: 1 | 2): Tensor => {
    const normed = groups === undefined ? y : groupNorm(y, w.at(`norm${n}`), { groups, eps: EPS });
    return conv2d(silu(normed), w.at(`conv${n}`), { out, kernel: 3, pad: 1 });
  };
  return add(x, half(half(x, 1), 2));
}

/** The convolution to 3 channels of each of 2x2 pixels. It starts small, near the upsampled picture, but not at 0, where training stays. */
function lastConv(x: Tensor, w: Weights): Tensor {
  const channels = fixedSize(x, 1);
  const weight = w.get("weight", [12, channels, 3, 3], { uniform: 0.1 / Math.sqrt(channels * 9) });
  return convolution.conv2d(x, weight, w.get("bias", [12]), { stride: 1, pads: [1, 1, 1, 1] });
}
