import { rename } from "../../src/weights/rename.ts";
import { layoutFromDiffusers, unetPaths } from "../../src/weights/unet-names.ts";
import { vaePaths } from "../../src/weights/vae-names.ts";
import type { Parameters } from "./parameters.ts";

/** One tensor of a single file, made of one or three parameters. */
export interface OriginalTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Parameters whose rows it holds, in order. */
  readonly from: readonly string[];
}

const flipped = (pairs: readonly (readonly [string, string])[]): ReadonlyMap<string, string> =>
  new Map(pairs.map(([original, diffusers]) => [diffusers, original]));

function renamed(
  params: Parameters,
  pairs: ReadonlyMap<string, string>,
  prefix: string,
  shapeOf = (_: string, s: readonly number[]) => s,
) {
  return [...params].map(([name, { shape }]): OriginalTensor => {
    const original = rename(name, pairs);
    if (original === undefined) throw new Error(`${name} has no name in the original layout`);
    return { name: prefix + original, shape: shapeOf(name, shape), from: [name] };
  });
}

export const unetOriginals = (params: Parameters): OriginalTensor[] =>
  renamed(params, flipped(unetPaths(layoutFromDiffusers(params.keys()))), "model.diffusion_model.");

/** Attention of the original VAE is written as 1x1 convolutions. */
export function vaeOriginals(params: Parameters): OriginalTensor[] {
  const count = (prefix: string): number => {
    const found = [...params.keys()].filter((n) => n.startsWith(prefix)).map((n) => Number.parseInt(n.slice(prefix.length), 10));
    return Math.max(-1, ...found) + 1;
  };
  const levels = count("encoder.down_blocks.");
  const names: string[] = [];
  for (let i = 0; i < levels; i++) {
    for (let j = 0; j < count("encoder.down_blocks.0.resnets."); j++) names.push(`encoder.down.${i}.block.${j}.conv1`);
    for (let j = 0; j < count("decoder.up_blocks.0.resnets."); j++) names.push(`decoder.up.${i}.block.${j}.conv1`);
  }
  const asConvolution = (name: string, shape: readonly number[]) =>
    /attentions\.0\.(to_[qkv]|to_out\.0)\.weight$/.test(name) ? [...shape, 1, 1] : shape;
  return renamed(params, flipped(vaePaths(names)), "first_stage_model.", asConvolution);
}

export const textOriginals = (params: Parameters): OriginalTensor[] =>
  [...params].map(([name, { shape }]) => ({ name: `conditioner.embedders.0.transformer.${name}`, shape, from: [name] }));

const OPEN_CLIP: ReadonlyMap<string, string> = new Map([
  ["text_model.embeddings.position_embedding.weight", "positional_embedding"],
  ["text_model.embeddings.token_embedding", "token_embedding"],
  ["text_model.final_layer_norm", "ln_final"],
]);
const OPEN_CLIP_LAYER: ReadonlyMap<string, string> = new Map([
  ["layer_norm1", "ln_1"],
  ["layer_norm2", "ln_2"],
  ["mlp.fc1", "mlp.c_fc"],
  ["mlp.fc2", "mlp.c_proj"],
  ["self_attn.out_proj", "attn.out_proj"],
]);

/** OpenCLIP keeps q, k and v in one tensor, and the projection transposed. */
export function openClipOriginals(params: Parameters): OriginalTensor[] {
  const prefix = "conditioner.embedders.1.model.";
  return [...params].flatMap(([name, { shape }]): OriginalTensor[] => {
    if (name === "text_projection.weight")
      return [{ name: `${prefix}text_projection`, shape: [shape[1]!, shape[0]!], from: [name] }];
    const end = rename(name, OPEN_CLIP);
    if (end !== undefined) return [{ name: prefix + end, shape, from: [name] }];
    const [, layer, rest] = /^text_model\.encoder\.layers\.(\d+)\.(.+)$/.exec(name)!;
    const at = `${prefix}transformer.resblocks.${layer}.`;
    const part = /^self_attn\.([qkv])_proj\.(weight|bias)$/.exec(rest!);
    if (part === null) return [{ name: at + rename(rest!, OPEN_CLIP_LAYER)!, shape, from: [name] }];
    if (part[1] !== "q") return []; // written with q
    const parts = ["q", "k", "v"].map((p) => name.replace("q_proj", `${p}_proj`));
    return [{ name: `${at}attn.in_proj_${part[2]}`, shape: [shape[0]! * 3, ...shape.slice(1)], from: parts }];
  });
}
