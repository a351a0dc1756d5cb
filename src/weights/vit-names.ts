import { type PathPair, rename } from "./rename.ts";
import { sliceRows, type TensorEntry, type Tensors } from "./tensor-entry.ts";

const ENDS = new Map<string, string>([
  ["embeddings.cls_token", "cls_token"],
  ["embeddings.mask_token", "mask_token"],
  ["embeddings.register_tokens", "register_tokens"],
  ["embeddings.position_embeddings", "pos_embed"],
  ["embeddings.patch_embeddings.projection", "patch_embed.proj"],
  ["layernorm", "norm"],
] satisfies PathPair[]);

const LAYER = new Map<string, string>([
  ["layernorm_before", "norm1"],
  ["layernorm_after", "norm2"],
  ["attention.attention.query", "attn.q"],
  ["attention.attention.key", "attn.k"],
  ["attention.attention.value", "attn.v"],
  ["attention.output.dense", "attn.proj"],
  ["intermediate.dense", "mlp.fc1"],
  ["output.dense", "mlp.fc2"],
  ["mlp.weights_in", "mlp.w12"],
  ["mlp.weights_out", "mlp.w3"],
  ["layer_scale1.lambda1", "ls1.gamma"],
  ["layer_scale2.lambda1", "ls2.gamma"],
] satisfies PathPair[]);

/**
 * Tensors of a vision transformer of DINO's family by the names of the authors' files, with q, k and v apart, which transformers' files have already. Of a
 * checkpoint of training, which has a student and a teacher, the teacher is taken; what lies outside the transformer is left out.
 * @returns undefined if there is no class token
 */
export function vitTensors(tensors: Tensors): Tensors | undefined {
  const tokens = [...tensors.keys()].filter((name) => /(^|\.)cls_token$/.test(name));
  const found = tokens.find((name) => name.startsWith("teacher")) ?? tokens[0];
  if (found === undefined) return undefined;
  const prefix = found.replace(/(embeddings\.)?cls_token$/, "");
  const out = new Map<string, TensorEntry>();
  for (const [name, entry] of tensors)
    if (name.startsWith(prefix))
      for (const renamed of renamedOf(entry, name.slice(prefix.length))) out.set(renamed.name, renamed);
  return out;
}

function renamedOf(entry: TensorEntry, name: string): readonly TensorEntry[] {
  const [, depth, rest] = /^(?:encoder\.layer|blocks)\.(\d+)\.(.+)$/.exec(name) ?? [];
  if (depth === undefined || rest === undefined) return [{ ...entry, name: rename(name, ENDS) ?? name }];
  const kind = /^attn\.qkv\.(weight|bias)$/.exec(rest)?.[1];
  const rows = entry.shape[0]! / 3;
  if (kind !== undefined && Number.isInteger(rows))
    return ["q", "k", "v"].map((part, i) => ({
      ...sliceRows(entry, i * rows, (i + 1) * rows),
      name: `blocks.${depth}.attn.${part}.${kind}`,
    }));
  return [{ ...entry, name: `blocks.${depth}.${rename(rest, LAYER) ?? rest}` }];
}
