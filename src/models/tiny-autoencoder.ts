import { add, div, mul, relu, sub, tanh } from "../graph/ops/elementwise.ts";
import { upsample } from "../graph/ops/resample.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { Weights } from "../graph/weights.ts";
import { conv2d } from "../nn/layers.ts";

export interface TinyAutoencoderConfig {
  readonly imageChannels: number;
  readonly latentChannels: number;
  /** Channels of every layer between the first and the last. */
  readonly channels: number;
  /** Number of blocks at each resolution, the coarsest first; each resolution is twice the one before. */
  readonly blocks: readonly number[];
  /** Factor of latents before the denoiser: 1, as it is trained on the denoiser's own latents. */
  readonly scalingFactor: number;
  readonly shiftFactor: number;
}

/** Latents are squeezed into this range by tanh, not cut. */
const LATENT_MAGNITUDE = 3;

/**
 * Decodes latents in a hundredth of the VAE's work: O. Boer Bohan's TAESD.
 * @param z [B, latentChannels, h, w] in the sampler's scale
 * @param w keys as in diffusers' AutoencoderTiny
 * @returns [B, 3, 8h, 8w], about in [-1, 1] (8 is 2 for each resolution but the last)
 * @see madebyollin/taesd 2a1b414 taesd.py Decoder; diffusers 0.35.2 src/diffusers/models/autoencoders/vae.py DecoderTiny
 */
export function tinyDecode(z: Tensor, w: Weights, { imageChannels, channels, blocks }: TinyAutoencoderConfig): Tensor {
  let layer = 0;
  const next = (): Weights => w.at("decoder", "layers", layer++);
  let x = mul(tanh(div(z, LATENT_MAGNITUDE)), LATENT_MAGNITUDE);
  x = relu(conv2d(x, next(), { out: channels, kernel: 3, pad: 1 }));
  layer++; // the activation
  blocks.forEach((count, level) => {
    for (let i = 0; i < count; i++) x = block(x, next(), channels);
    if (level === blocks.length - 1) return;
    layer++; // the upsampling
    x = conv2d(upsample(x, 2), next(), { out: channels, kernel: 3, pad: 1, bias: false });
  });
  x = conv2d(x, next(), { out: imageChannels, kernel: 3, pad: 1 });
  return sub(mul(x, 2), 1); // the original's pictures lie in [0, 1]
}

function block(x: Tensor, w: Weights, out: number): Tensor {
  const conv = (y: Tensor, layer: number): Tensor => conv2d(y, w.at("conv", layer), { out, kernel: 3, pad: 1 });
  return relu(add(conv(relu(conv(relu(conv(x, 0)), 2)), 4), x));
}
