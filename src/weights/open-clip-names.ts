import { type PathPair, rename } from "./rename.ts";
import { sliceRows, type TensorEntry } from "./tensor-entry.ts";

const ENDS: readonly PathPair[] = [
  ["positional_embedding", "text_model.embeddings.position_embedding.weight"],
  ["token_embedding", "text_model.embeddings.token_embedding"],
  ["ln_final", "text_model.final_layer_norm"],
];

const LAYER: readonly PathPair[] = [
  ["ln_1", "layer_norm1"],
  ["ln_2", "layer_norm2"],
  ["mlp.c_fc", "mlp.fc1"],
  ["mlp.c_proj", "mlp.fc2"],
  ["attn.out_proj", "self_attn.out_proj"],
];

const ends = new Map(ENDS);
const layer = new Map(LAYER);

/**
 * A tensor of OpenCLIP's text encoder in transformers' layout: q, k and v are rows of `in_proj` in that order, and
 * `text_projection` is stored transposed. Undefined if the name is not one of OpenCLIP's.
 * @see diffusers 0.35.2 src/diffusers/loaders/single_file_utils.py: convert_open_clip_checkpoint
 */
export function fromOpenClip(entry: TensorEntry): readonly TensorEntry[] | undefined {
  const { name, shape } = entry;
  const named = (to: string): TensorEntry => ({ ...entry, name: to });
  if (name === "text_projection" && shape.length === 2)
    return [{ ...named("text_projection.weight"), shape: [shape[1]!, shape[0]!], transposed: true }];
  if (name === "text_projection.weight") return [entry]; // already as transformers has it
  const end = rename(name, ends);
  if (end !== undefined) return [named(end)];

  const [, depth, rest] = /^transformer\.resblocks\.(\d+)\.(.+)$/.exec(name) ?? [];
  if (depth === undefined || rest === undefined) return undefined;
  const into = `text_model.encoder.layers.${depth}`;
  const fused = /^attn\.in_proj_(weight|bias)$/.exec(rest)?.[1];
  if (fused !== undefined) {
    const rows = shape[0]! / 3;
    if (!Number.isInteger(rows)) return undefined;
    return ["q", "k", "v"].map((part, i) => ({
      ...sliceRows(entry, i * rows, (i + 1) * rows),
      name: `${into}.self_attn.${part}_proj.${fused}`,
    }));
  }
  const inner = rename(rest, layer);
  return inner === undefined ? undefined : [named(`${into}.${inner}`)];
}
