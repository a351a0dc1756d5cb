import type { PathPair } from "./rename.ts";

interface Level {
  readonly resnets: number;
  readonly attention: boolean;
  /** Whether it is followed by a down- or upsampling. */
  readonly resampled: boolean;
}

/** Layout of a UNet's blocks as its names show it, from the outside inwards and back. */
export interface UnetLayout {
  readonly down: readonly Level[];
  readonly up: readonly Level[];
}

/** The layout of a UNet from names such as `input_blocks.4.1.norm.weight`. */
export function layoutFromOriginal(names: Iterable<string>): UnetLayout {
  const heads = new Set<string>();
  for (const name of names) heads.add(name.split(".").slice(0, 4).join("."));
  const at = (...path: (string | number)[]) => heads.has(path.join("."));

  const down: Level[] = [];
  let level = { resnets: 0, attention: false };
  for (let i = 1; at("input_blocks", i, 0, "op") || at("input_blocks", i, 0, "in_layers"); i++)
    if (at("input_blocks", i, 0, "op")) {
      down.push({ ...level, resampled: true });
      level = { resnets: 0, attention: false };
    } else level = { resnets: level.resnets + 1, attention: at("input_blocks", i, 1, "proj_in") };
  down.push({ ...level, resampled: false });

  const up: Level[] = [];
  level = { resnets: 0, attention: false };
  for (let i = 0; at("output_blocks", i, 0, "in_layers"); i++) {
    level = { resnets: level.resnets + 1, attention: at("output_blocks", i, 1, "proj_in") };
    if (!at("output_blocks", i, level.attention ? 2 : 1, "conv")) continue;
    up.push({ ...level, resampled: true });
    level = { resnets: 0, attention: false };
  }
  up.push({ ...level, resampled: false });
  return { down, up };
}

/** The layout of a UNet from names such as `down_blocks.1.attentions.0.norm.weight`. */
export function layoutFromDiffusers(names: Iterable<string>): UnetLayout {
  const heads = new Set<string>();
  for (const name of names) heads.add(name.split(".").slice(0, 4).join("."));
  const levels = (side: string): Level[] => {
    const out: Level[] = [];
    for (let i = 0; heads.has(`${side}.${i}.resnets.0`); i++) {
      let resnets = 0;
      while (heads.has(`${side}.${i}.resnets.${resnets}`)) resnets++;
      const resampled = heads.has(`${side}.${i}.downsamplers.0`) || heads.has(`${side}.${i}.upsamplers.0`);
      out.push({ resnets, attention: heads.has(`${side}.${i}.attentions.0`), resampled });
    }
    return out;
  };
  return { down: levels("down_blocks"), up: levels("up_blocks") };
}

const RESNET: readonly PathPair[] = [
  ["in_layers.0", "norm1"],
  ["in_layers.2", "conv1"],
  ["emb_layers.1", "time_emb_proj"],
  ["out_layers.0", "norm2"],
  ["out_layers.3", "conv2"],
  ["skip_connection", "conv_shortcut"],
];

const ENDS: readonly PathPair[] = [
  ["time_embed.0", "time_embedding.linear_1"],
  ["time_embed.2", "time_embedding.linear_2"],
  ["label_emb.0.0", "add_embedding.linear_1"],
  ["label_emb.0.2", "add_embedding.linear_2"],
  ["input_blocks.0.0", "conv_in"],
  ["out.0", "conv_norm_out"],
  ["out.2", "conv_out"],
];

/**
 * Paths of each module of an SDXL UNet in the original layout (Stability's generative-models) and in diffusers'.
 * Transformer blocks have the same names inside.
 * @see diffusers 0.35.2 src/diffusers/loaders/single_file_utils.py: convert_ldm_unet_checkpoint
 */
export function unetPaths({ down, up }: UnetLayout): readonly PathPair[] {
  const out: PathPair[] = [...ENDS];
  const resnet = (original: string, diffusers: string) =>
    out.push(...RESNET.map(([from, to]): PathPair => [`${original}.${from}`, `${diffusers}.${to}`]));

  let i = 1;
  down.forEach(({ resnets, attention, resampled }, level) => {
    for (let j = 0; j < resnets; j++, i++) {
      resnet(`input_blocks.${i}.0`, `down_blocks.${level}.resnets.${j}`);
      if (attention) out.push([`input_blocks.${i}.1`, `down_blocks.${level}.attentions.${j}`]);
    }
    if (resampled) out.push([`input_blocks.${i++}.0.op`, `down_blocks.${level}.downsamplers.0.conv`]);
  });
  resnet("middle_block.0", "mid_block.resnets.0");
  out.push(["middle_block.1", "mid_block.attentions.0"]);
  resnet("middle_block.2", "mid_block.resnets.1");
  i = 0;
  up.forEach(({ resnets, attention, resampled }, level) => {
    for (let j = 0; j < resnets; j++, i++) {
      resnet(`output_blocks.${i}.0`, `up_blocks.${level}.resnets.${j}`);
      if (attention) out.push([`output_blocks.${i}.1`, `up_blocks.${level}.attentions.${j}`]);
    }
    if (resampled) out.push([`output_blocks.${i - 1}.${attention ? 2 : 1}.conv`, `up_blocks.${level}.upsamplers.0.conv`]);
  });
  return out;
}
