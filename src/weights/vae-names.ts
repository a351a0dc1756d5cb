import type { PathPair } from "./rename.ts";

/** Names inside the VAE's attention; the third column is diffusers' spelling until 0.13. */
const ATTENTION: readonly (readonly [original: string, diffusers: string, old: string])[] = [
  ["norm", "group_norm", "group_norm"],
  ["q", "to_q", "query"],
  ["k", "to_k", "key"],
  ["v", "to_v", "value"],
  ["proj_out", "to_out.0", "proj_attn"],
];

/**
 * Paths of each module of a VAE in the original layout and in diffusers', for as many levels as `names` show.
 * The original counts the decoder's levels from the outside.
 * @see diffusers 0.35.2 src/diffusers/loaders/single_file_utils.py: convert_ldm_vae_checkpoint
 */
export function vaePaths(names: Iterable<string>): readonly PathPair[] {
  const blocks = new Set<string>();
  for (const name of names) blocks.add(name.split(".").slice(0, 5).join("."));
  const count = (path: (i: number) => string) => {
    let n = 0;
    while (blocks.has(path(n))) n++;
    return n;
  };
  const out: PathPair[] = [
    ["quant_conv", "quant_conv"],
    ["post_quant_conv", "post_quant_conv"],
  ];
  for (const [side, original, diffusers] of [
    ["encoder", "down", "down_blocks"],
    ["decoder", "up", "up_blocks"],
  ] as const) {
    const levels = count((i) => `${side}.${original}.${i}.block.0`);
    for (let i = 0; i < levels; i++) {
      const [from, to] = [`${side}.${original}.${i}`, `${side}.${diffusers}.${side === "encoder" ? i : levels - 1 - i}`];
      for (let j = 0; j < count((n) => `${from}.block.${n}`); j++) {
        out.push([`${from}.block.${j}.nin_shortcut`, `${to}.resnets.${j}.conv_shortcut`]);
        out.push([`${from}.block.${j}`, `${to}.resnets.${j}`]);
      }
      out.push([`${from}.${original}sample`, `${to}.${original}samplers.0`]);
    }
    out.push([`${side}.mid.block_1`, `${side}.mid_block.resnets.0`], [`${side}.mid.block_2`, `${side}.mid_block.resnets.1`]);
    for (const [from, to] of ATTENTION) out.push([`${side}.mid.attn_1.${from}`, `${side}.mid_block.attentions.0.${to}`]);
    out.push([`${side}.norm_out`, `${side}.conv_norm_out`]);
    for (const end of ["conv_in", "conv_out"]) out.push([`${side}.${end}`, `${side}.${end}`]);
  }
  return out;
}

/** Paths from old names of attention in diffusers' own layout to today's. */
export const oldVaePaths: readonly PathPair[] = ["encoder", "decoder"].flatMap((side) =>
  ATTENTION.map(([, now, old]): PathPair => [`${side}.mid_block.attentions.0.${old}`, `${side}.mid_block.attentions.0.${now}`]),
);
