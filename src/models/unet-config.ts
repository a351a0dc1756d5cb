import { z } from "zod";
import type { Tensors } from "../weights/tensor-entry.ts";
import { countOf, dimOf, needsConfig, only, parseConfig } from "./parse-config.ts";
import type { UNetConfig } from "./unet.ts";

const NAME = "unet";
const perLevel = z.union([z.int().positive(), z.array(z.int().positive())]);

/** The network's sizes, and the size of the pictures that it was trained on. */
export interface UNetModelConfig extends UNetConfig {
  /** Side of the latents. */
  readonly sampleSize: number;
}

/** Fields of diffusers' UNet2DConditionModel that matter here. */
const schema = z.looseObject({
  sample_size: z.int().positive().default(128),
  in_channels: z.int().positive().default(4),
  out_channels: z.int().positive().default(4),
  block_out_channels: z.array(z.int().positive()).min(1),
  down_block_types: z.array(z.enum(["DownBlock2D", "CrossAttnDownBlock2D"])),
  up_block_types: z.array(z.enum(["UpBlock2D", "CrossAttnUpBlock2D"])),
  mid_block_type: only("UNetMidBlock2DCrossAttn"),
  layers_per_block: z.int().positive().default(2),
  transformer_layers_per_block: perLevel.default(1),
  reverse_transformer_layers_per_block: z.null().default(null),
  attention_head_dim: perLevel, // diffusers keeps the number of heads under this name
  num_attention_heads: z.null().default(null),
  norm_num_groups: z.int().positive().default(32),
  norm_eps: only(1e-5),
  cross_attention_dim: z.int().positive(),
  use_linear_projection: z.boolean().default(false),
  addition_embed_type: z.literal("text_time"),
  addition_time_embed_dim: z.int().positive(),
  projection_class_embeddings_input_dim: z.int().positive(),
  act_fn: only("silu"),
  flip_sin_to_cos: only(true),
  freq_shift: only(0),
  center_input_sample: only(false),
  downsample_padding: only(1),
  mid_block_scale_factor: only(1),
  resnet_time_scale_shift: only("default"),
  time_embedding_type: only("positional"),
  time_cond_proj_dim: z.null().default(null),
  class_embed_type: z.null().default(null),
  encoder_hid_dim_type: z.null().default(null),
  dual_cross_attention: only(false),
  only_cross_attention: only(false),
  conv_in_kernel: only(3),
  conv_out_kernel: only(3),
});

/**
 * The UNet's sizes, from its config.json or, without one, from its tensors and what all SDXL models share.
 * @throws UserError model/config, model/config-needed, weights/missing
 */
export function unetConfig(config: unknown, tensors: Tensors): UNetModelConfig {
  return config === undefined ? fromTensors(tensors) : fromConfig(config);
}

function fromConfig(json: unknown): UNetModelConfig {
  const c = parseConfig(schema, json, NAME);
  const channels = c.block_out_channels;
  const levels = <T>(value: T | readonly T[]): readonly T[] => (Array.isArray(value) ? value : channels.map(() => value as T));
  const blocks = levels(c.transformer_layers_per_block);
  return {
    sampleSize: c.sample_size,
    inChannels: c.in_channels,
    outChannels: c.out_channels,
    channels,
    depth: c.down_block_types.map((type, i) => (type === "DownBlock2D" ? 0 : blocks[i]!)),
    midDepth: blocks.at(-1)!,
    upDepth: c.up_block_types.toReversed().map((type, i) => (type === "UpBlock2D" ? 0 : blocks[i]!)),
    heads: levels(c.attention_head_dim),
    layersPerBlock: c.layers_per_block,
    groups: c.norm_num_groups,
    contextDim: c.cross_attention_dim,
    pooledDim: c.projection_class_embeddings_input_dim - 6 * c.addition_time_embed_dim,
    timeIdDim: c.addition_time_embed_dim,
    linearProjection: c.use_linear_projection,
  };
}

const HEAD_WIDTH = 64;
const GROUPS = 32;
const TIME_ID_DIM = 256;
const SAMPLE_SIZE = 128;

function fromTensors(tensors: Tensors): UNetModelConfig {
  const dim = (name: string, axis: number): number => dimOf(tensors, name, axis, NAME);
  const levels = countOf(tensors, "down_blocks.");
  const channels = Array.from({ length: levels }, (_, i) => dim(`down_blocks.${i}.resnets.0.conv1.weight`, 0));
  if (channels.some((c) => c % HEAD_WIDTH !== 0)) throw needsConfig(NAME, "the number of attention heads and norm groups");
  const depthOf = (block: string): number => countOf(tensors, `${block}.attentions.0.transformer_blocks.`);
  const middle = "mid_block.attentions.0";
  return {
    sampleSize: SAMPLE_SIZE,
    inChannels: dim("conv_in.weight", 1),
    outChannels: dim("conv_out.weight", 0),
    channels,
    depth: channels.map((_, i) => depthOf(`down_blocks.${i}`)),
    midDepth: depthOf("mid_block"),
    upDepth: channels.map((_, i) => depthOf(`up_blocks.${levels - 1 - i}`)),
    heads: channels.map((c) => c / HEAD_WIDTH),
    layersPerBlock: countOf(tensors, "down_blocks.0.resnets."),
    groups: GROUPS,
    contextDim: dim(`${middle}.transformer_blocks.0.attn2.to_k.weight`, 1),
    pooledDim: dim("add_embedding.linear_1.weight", 1) - 6 * TIME_ID_DIM,
    timeIdDim: TIME_ID_DIM,
    linearProjection: tensors.get(`${middle}.proj_in.weight`)?.shape.length === 2,
  };
}
