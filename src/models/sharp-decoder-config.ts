import { z } from "zod";
import { only, parseConfig } from "./parse-config.ts";
import type { SharpDecoderConfig } from "./sharp-decoder.ts";

const NAME = "the sharp decoder";

const schema = z
  .looseObject({
    _class_name: only("SharpDecoder"),
    block_out_channels: z.array(z.int().positive()).min(1),
    layers_per_block: z.array(z.int().positive()).min(1),
    norm_num_groups: z.int().positive(),
  })
  .refine((c) => c.block_out_channels.length === c.layers_per_block.length, {
    path: ["layers_per_block"],
    message: "its length is not that of block_out_channels",
  });

/**
 * Sizes of the sharp decoder, from its config.json.
 * @throws UserError model/config
 */
export function sharpDecoderConfig(config: unknown): SharpDecoderConfig {
  const { block_out_channels, layers_per_block, norm_num_groups } = parseConfig(schema, config, NAME);
  return { channels: block_out_channels, blocks: layers_per_block, groups: norm_num_groups };
}
