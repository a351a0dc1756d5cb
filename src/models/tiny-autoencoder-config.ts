import { z } from "zod";
import { UserError } from "../core/errors.ts";
import type { Tensors } from "../weights/tensor-entry.ts";
import { dimOf, only, parseConfig } from "./parse-config.ts";
import type { TinyAutoencoderConfig } from "./tiny-autoencoder.ts";

const NAME = "the tiny VAE";

/** Fields of diffusers' AutoencoderTiny that matter to its decoder. */
const schema = z
  .looseObject({
    _class_name: only("AutoencoderTiny"),
    act_fn: only("relu"),
    upsample_fn: only("nearest"),
    upsampling_scaling_factor: only(2),
    out_channels: only(3),
    latent_channels: z.int().positive().default(4),
    decoder_block_out_channels: z.array(z.int().positive()).min(1).default([64, 64, 64, 64]),
    num_decoder_blocks: z.array(z.int().positive()).min(1).default([3, 3, 3, 1]),
    scaling_factor: z.number().positive().default(1),
    shift_factor: z.number().default(0),
  })
  .refine((c) => c.decoder_block_out_channels.length === c.num_decoder_blocks.length, {
    path: ["num_decoder_blocks"],
    message: "its length is not that of decoder_block_out_channels",
  })
  .refine((c) => new Set(c.decoder_block_out_channels).size === 1, {
    path: ["decoder_block_out_channels"],
    message: "the sizes differ from each other",
  });

/**
 * The tiny autoencoder's sizes, from its config.json or, without one, from its tensors.
 * @throws UserError model/config, weights/missing
 */
export function tinyAutoencoderConfig(config: unknown, tensors: Tensors): TinyAutoencoderConfig {
  if (config === undefined) return fromTensors(tensors);
  const c = parseConfig(schema, config, NAME);
  return {
    imageChannels: c.out_channels,
    latentChannels: c.latent_channels,
    channels: c.decoder_block_out_channels[0]!,
    blocks: c.num_decoder_blocks,
    scalingFactor: c.scaling_factor,
    shiftFactor: c.shift_factor,
  };
}

function fromTensors(tensors: Tensors): TinyAutoencoderConfig {
  const layerOf = (name: string): string | undefined => /^decoder\.layers\.(\d+)\./.exec(name)?.[1];
  const layers = [...new Set([...tensors.keys()].map((name) => Number(layerOf(name) ?? 0)))].sort((a, b) => a - b);
  const last = layers.at(-1)!;
  const blocks: number[] = [];
  let count = 0;
  for (const layer of layers.slice(1))
    if (tensors.has(`decoder.layers.${layer}.conv.0.weight`)) count++;
    else {
      blocks.push(count); // a convolution alone ends a resolution
      count = 0;
    }
  const channels = dimOf(tensors, "decoder.layers.0.weight", 0, NAME);
  const imageChannels = dimOf(tensors, `decoder.layers.${last}.weight`, 0, NAME);
  if (imageChannels !== 3)
    throw new UserError(
      "tiny-vae/not-pictures",
      `The tiny VAE gives ${imageChannels} channels, and pictures have 3.`,
      "Download it again: madebyollin/taesdxl is the one for SDXL.",
    );
  return {
    imageChannels,
    latentChannels: dimOf(tensors, "decoder.layers.0.weight", 1, NAME),
    channels,
    blocks,
    scalingFactor: 1,
    shiftFactor: 0,
  };
}
