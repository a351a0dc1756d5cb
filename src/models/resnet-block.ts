import { silu } from "../graph/ops/activation.ts";
import { add } from "../graph/ops/elementwise.ts";
import { reshape } from "../graph/ops/layout.ts";
import { fixedSize, size, type Tensor } from "../graph/tensor.ts";
import type { Weights } from "../graph/weights.ts";
import { conv2d, groupNorm, linear } from "../nn/layers.ts";

export interface ResnetBlockOptions {
  readonly out: number;
  readonly groups: number;
  readonly eps: number;
}

/**
 * Residual block, the unit of the UNet, where the timestep shifts it, and of the VAE, where there is no timestep.
 *
 * @param x    [B, C, H, W]
 * @param temb [B or 1, T] timestep embedding before its activation, or undefined
 * @param w    keys as in diffusers: norm1, conv1, time_emb_proj, norm2, conv2, and conv_shortcut when C ≠ out
 * @returns    [B, out, H, W]
 * @throws UserError weights/missing, weights/shape; both name the key
 * @see He et al. 2015 (arXiv 1512.03385); diffusers 58eb52c src/diffusers/models/resnet.py ResnetBlock2D
 */
export function resnetBlock(x: Tensor, temb: Tensor | undefined, w: Weights, options: ResnetBlockOptions): Tensor {
  const { out } = options;
  let h = conv2d(silu(groupNorm(x, w.at("norm1"), options)), w.at("conv1"), { out, kernel: 3, pad: 1 });
  if (temb !== undefined) {
    const shift = linear(silu(temb), w.at("time_emb_proj"), { out });
    h = add(h, reshape(shift, [size(shift, 0), out, 1, 1])); // the same shift at every pixel
  }
  h = conv2d(silu(groupNorm(h, w.at("norm2"), options)), w.at("conv2"), { out, kernel: 3, pad: 1 });
  const skip = fixedSize(x, 1) === out ? x : conv2d(x, w.at("conv_shortcut"), { out, kernel: 1 });
  return add(skip, h);
}
