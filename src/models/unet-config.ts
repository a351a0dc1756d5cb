import { z } from "zod";
import type { Tensors } from "../weights/tensor-entry.ts";
import { countOf, dimOf, needsConfig, only, parseConfig, refuseContradictions } from "./parse-config.ts";
import type { Depth, UNetConfig } from "./unet.ts";

const NAME = "unet";
const perLevel = z.union([z.int().positive(), z.array(z.int().positive())]);
/** Numbers of transformer blocks: one for all, or level by level, there also block by block. A level without attention may say 0. */
const perBlock = z.union([z.int().min(0), z.array(z.union([z.int().min(0), z.array(z.int().positive())]))]);

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
  mid_block_type: z.enum(["UNetMidBlock2DCrossAttn", "UNetMidBlock2D"]).nullable().default("UNetMidBlock2DCrossAttn"),
  layers_per_block: z.int().positive().default(2),
  transformer_layers_per_block: perBlock.default(1),
  reverse_transformer_layers_per_block: perBlock.nullable().default(null),
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
  const blocks = levels<Depth>(c.transformer_layers_per_block);
  const backwards = c.reverse_transformer_layers_per_block;
  const upBlocks = backwards === null ? blocks : levels<Depth>(backwards).toReversed();
  const heads = levels(c.attention_head_dim);
  const attends = (i: number): boolean =>
    [c.down_block_types[i], c.up_block_types.at(-1 - i)].some((type) => type?.startsWith("Cross")) || i === channels.length - 1;
  const hasLevels = (list: readonly unknown[]): boolean => list.length === channels.length;
  refuseContradictions(NAME, [
    [hasLevels(c.down_block_types), "down_block_types: it has another length than block_out_channels"],
    [hasLevels(c.up_block_types), "up_block_types: it has another length than block_out_channels"],
    [hasLevels(blocks), "transformer_layers_per_block: it has another length than block_out_channels"],
    [hasLevels(upBlocks), "reverse_transformer_layers_per_block: it has another length than block_out_channels"],
    [hasLevels(heads), "attention_head_dim: it has another length than block_out_channels"],
    [channels.every((n, i) => !attends(i) || n % heads[i]! === 0), "attention_head_dim: it does not divide block_out_channels"],
    [channels.every((n) => n % c.norm_num_groups === 0), "norm_num_groups: it does not divide block_out_channels"],
  ]);
  const crossed = c.mid_block_type === "UNetMidBlock2DCrossAttn";
  const deepest = blocks.at(-1)!;
  return {
    sampleSize: c.sample_size,
    inChannels: c.in_channels,
    outChannels: c.out_channels,
    channels,
    depth: c.down_block_types.map((type, i) => (type === "DownBlock2D" ? 0 : blocks[i]!)),
    midDepth: !crossed ? 0 : typeof deepest === "number" ? deepest : deepest[0]!,
    upDepth: c.up_block_types.toReversed().map((type, i) => (type === "UpBlock2D" ? 0 : upBlocks[i]!)),
    ...(!crossed && { middle: c.mid_block_type === null ? "none" : "resnet" }),
    heads,
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
  const layersPerBlock = countOf(tensors, "down_blocks.0.resnets.");
  const depthOf = (block: string, resnets: number): Depth => {
    const each = Array.from({ length: resnets }, (_, i) => countOf(tensors, `${block}.attentions.${i}.transformer_blocks.`));
    return each.every((depth) => depth === each[0]) ? each[0]! : each;
  };
  const residual = countOf(tensors, "mid_block.resnets.");
  const transformer = [...tensors.keys()].find((name) => name.endsWith(".proj_in.weight"))?.slice(0, -".proj_in.weight".length);
  if (transformer === undefined) throw needsConfig(NAME, "where the text goes, since no block has attention");
  return {
    sampleSize: SAMPLE_SIZE,
    inChannels: dim("conv_in.weight", 1),
    outChannels: dim("conv_out.weight", 0),
    channels,
    depth: channels.map((_, i) => depthOf(`down_blocks.${i}`, layersPerBlock)),
    midDepth: countOf(tensors, "mid_block.attentions.0.transformer_blocks."),
    upDepth: channels.map((_, i) => depthOf(`up_blocks.${levels - 1 - i}`, layersPerBlock + 1)),
    ...(residual < 2 && { middle: residual === 0 ? "none" : "resnet" }),
    heads: channels.map((c) => c / HEAD_WIDTH),
    layersPerBlock,
    groups: GROUPS,
    contextDim: dim(`${transformer}.transformer_blocks.0.attn2.to_k.weight`, 1),
    pooledDim: dim("add_embedding.linear_1.weight", 1) - 6 * TIME_ID_DIM,
    timeIdDim: TIME_ID_DIM,
    linearProjection: tensors.get(`${transformer}.proj_in.weight`)?.shape.length === 2,
  };
}
