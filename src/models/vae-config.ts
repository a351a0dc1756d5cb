import { z } from "zod";
import { UserError } from "../core/errors.ts";
import type { LatentScale } from "../weights/prediction.ts";
import type { Tensors } from "../weights/tensor-entry.ts";
import { countOf, dimOf, needsConfig, only, parseConfig, refuseContradictions } from "./parse-config.ts";
import type { VaeConfig } from "./vae.ts";

const NAME = "vae";

/** Fields of diffusers' AutoencoderKL that matter here. */
const schema = z.looseObject({
  in_channels: z.int().positive().default(3),
  out_channels: z.int().positive().default(3),
  latent_channels: z.int().positive().default(4),
  block_out_channels: z.array(z.int().positive()).min(1),
  layers_per_block: z.int().positive().default(1),
  norm_num_groups: z.int().positive().default(32),
  mid_block_add_attention: z.boolean().default(true),
  use_quant_conv: z.boolean().default(true),
  use_post_quant_conv: z.boolean().default(true),
  scaling_factor: z.number().default(0.18215),
  shift_factor: z.number().nullable().default(null),
  latents_mean: z.array(z.number()).nullable().default(null),
  latents_std: z.array(z.number().positive()).nullable().default(null),
  act_fn: only("silu"),
});

/** The scaling factor of SDXL's VAE: Podell et al. 2023 (arXiv 2307.01952). */
export const SDXL_SCALING_FACTOR = 0.13025;
const GROUPS = 32;

/**
 * The VAE's sizes, from its config.json or, without one, from its tensors and what all SDXL models share.
 * @param latents what the weights declare of the latents' scale
 * @throws UserError model/config, model/config-needed, weights/missing
 */
export function vaeConfig(config: unknown, tensors: Tensors, latents?: LatentScale): VaeConfig {
  const plain = config === undefined ? fromTensors(tensors) : fromConfig(config);
  const read =
    latents === undefined
      ? plain
      : {
          ...plain,
          scalingFactor: latents.scalingFactor,
          shiftFactor: 0,
          latentsMean: latents.means,
          latentsStd: latents.deviations,
        };
  const { latentsMean, latentsStd, latentChannels } = read;
  for (const [name, values] of Object.entries({ latents_mean: latentsMean, latents_std: latentsStd }))
    if (values !== undefined && values.length !== latentChannels)
      throw new UserError(
        "model/config",
        `The ${NAME} has ${latentChannels} channels of latents, and ${values.length} numbers as ${name}.`,
        "Correct vae/config.json, or download the model again.",
      );
  return read;
}

function fromConfig(json: unknown): VaeConfig {
  const c = parseConfig(schema, json, NAME);
  refuseContradictions(NAME, [
    [c.block_out_channels.every((n) => n % c.norm_num_groups === 0), "norm_num_groups: it does not divide block_out_channels"],
  ]);
  return {
    imageChannels: c.out_channels,
    latentChannels: c.latent_channels,
    channels: c.block_out_channels,
    layersPerBlock: c.layers_per_block,
    groups: c.norm_num_groups,
    midAttention: c.mid_block_add_attention,
    quantConv: c.use_quant_conv,
    postQuantConv: c.use_post_quant_conv,
    scalingFactor: c.scaling_factor,
    shiftFactor: c.shift_factor ?? 0,
    // diffusers uses neither if one is missing
    ...(c.latents_mean !== null && c.latents_std !== null && { latentsMean: c.latents_mean, latentsStd: c.latents_std }),
  };
}

function fromTensors(tensors: Tensors): VaeConfig {
  const dim = (name: string, axis: number): number => dimOf(tensors, name, axis, NAME);
  const levels = countOf(tensors, "encoder.down_blocks.");
  const channels = Array.from({ length: levels }, (_, i) => dim(`encoder.down_blocks.${i}.resnets.0.conv1.weight`, 0));
  if (channels.some((c) => c % GROUPS !== 0)) throw needsConfig(NAME, "the number of norm groups");
  return {
    imageChannels: dim("decoder.conv_out.weight", 0),
    latentChannels: dim("decoder.conv_in.weight", 1),
    channels,
    layersPerBlock: countOf(tensors, "encoder.down_blocks.0.resnets."),
    groups: GROUPS,
    midAttention: tensors.has("decoder.mid_block.attentions.0.to_q.weight"),
    quantConv: tensors.has("quant_conv.weight"),
    postQuantConv: tensors.has("post_quant_conv.weight"),
    scalingFactor: SDXL_SCALING_FACTOR,
    shiftFactor: 0,
  };
}
