import { fromOpenClip } from "./open-clip-names.ts";
import { type PathPair, rename } from "./rename.ts";
import type { TensorEntry, Tensors } from "./tensor-entry.ts";

const VISION = new Map<string, string>([
  ["class_embedding", "vision_model.embeddings.class_embedding"],
  ["positional_embedding", "vision_model.embeddings.position_embedding.weight"],
  ["conv1", "vision_model.embeddings.patch_embedding"],
  ["ln_pre", "vision_model.pre_layrnorm"], // [sic] in the checkpoint
  ["ln_post", "vision_model.post_layernorm"],
] satisfies PathPair[]);

/** Tensors of a whole CLIP, of transformers or of OpenCLIP, by the names of transformers' CLIPModel. */
export function clipTensors(tensors: Tensors): Tensors {
  const out = new Map<string, TensorEntry>();
  const isOpenClip = tensors.has("visual.conv1.weight");
  for (const entry of tensors.values())
    for (const renamed of isOpenClip ? renamedOf(entry) : [entry]) out.set(renamed.name, renamed);
  return out;
}

function renamedOf(entry: TensorEntry): readonly TensorEntry[] {
  if (!entry.name.startsWith("visual.")) return fromOpenClip(entry) ?? [entry];
  const name = entry.name.slice("visual.".length);
  if (name === "proj") {
    const [from, to] = entry.shape as [number, number];
    return [{ ...entry, name: "visual_projection.weight", shape: [to, from], transposed: true }];
  }
  const end = rename(name, VISION);
  if (end !== undefined) return [{ ...entry, name: end }];
  // a layer of the vision transformer is named as one of the text's
  const inner = fromOpenClip({ ...entry, name }) ?? [{ ...entry, name }];
  return inner.map((part) => ({ ...part, name: part.name.replace(/^text_model\./, "vision_model.") }));
}
