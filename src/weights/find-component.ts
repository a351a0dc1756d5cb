import { fromOpenClip } from "./open-clip-names.ts";
import {
  COMPONENTS,
  type ComponentName,
  type Convert,
  fromOriginalUnet,
  fromOriginalVae,
  isIgnored,
  modernVae,
  PREFIXES,
} from "./sdxl-single-file.ts";
import { type TensorEntry, type Tensors, withoutPrefix } from "./tensor-entry.ts";

export interface FoundComponent {
  /** What stands before its names in the file, such as `first_stage_model.`; empty for a file of this component alone. */
  readonly place: string;
  /** Tensors by the names of diffusers and transformers */
  readonly tensors: Tensors;
  /** Names beside them that are not known, as in the file. */
  readonly unknown: readonly string[];
}

/**
 * Prefixes of a component in files of several programs: Stability's generative-models, Stable Diffusion 1.x and what follows it, node programs,
 * and the folders of diffusers. A file of the component alone has none.
 * @see comfyanonymous/ComfyUI comfy/sd.py, comfy/supported_models.py
 */
const PLACES: Readonly<Record<ComponentName, readonly string[]>> = {
  unet: [PREFIXES.unet, "diffusion_model.", "unet.", "model.", ""],
  vae: [PREFIXES.vae, "vae.", ""],
  text_encoder: [
    "conditioner.embedders.0.transformer.",
    "text_encoders.clip_l.",
    "clip_l.",
    "cond_stage_model.",
    "text_encoder.",
    "",
  ],
  text_encoder_2: [
    "conditioner.embedders.1.",
    "conditioner.embedders.0.model.", // of the refiner, whose encoder is this one
    "text_encoders.clip_g.",
    "clip_g.",
    "text_encoder_2.",
    "",
  ],
};

/** Words before the names of a text encoder, by programs that keep it as a part of an object. */
const WRAPPED =
  /^((transformer|model|text)\.)+(?=(text_model|embeddings|encoder\.layers|final_layer_norm|text_projection|token_embedding|positional_embedding|transformer\.resblocks|ln_final|vision_model|visual|logit_scale)\b)/;

/** CLIP's other half, for pictures, and the mask of the text's order. */
const BESIDE_TEXT = /^(vision_model|visual|visual_projection|attn_mask)\b/;

/** Whether a tensor of a component needs no place; a projection tells the second text encoder from the first, which does without. */
const isBeside = (component: ComponentName, name: string): boolean =>
  !name.startsWith("text_projection") &&
  (isIgnored(name) || isIgnored(PREFIXES[component] + name) || (component.startsWith("text_encoder") && BESIDE_TEXT.test(name)));

/** Tensors of a component by diffusers' names, whichever of the two layouts they have; undefined for what is not that component. */
function converterOf(component: ComponentName, inside: Tensors): Convert | undefined {
  const all = (pattern: RegExp): boolean => [...inside.keys()].some((name) => pattern.test(name));
  switch (component) {
    case "unet":
      if (inside.has("conv_in.weight") && all(/^down_blocks\./)) return (entry) => [entry];
      return inside.has("input_blocks.0.0.weight") && inside.has("out.2.weight") ? fromOriginalUnet(inside) : undefined;
    case "vae":
      if (!inside.has("decoder.conv_in.weight") || !inside.has("decoder.conv_out.weight")) return undefined;
      if (all(/^decoder\.mid\./)) return fromOriginalVae(inside);
      return all(/^decoder\.mid_block\./) ? (entry) => [...modernVae(new Map([[entry.name, entry]])).values()] : undefined;
    default:
      return all(/^((text_model\.)?embeddings\.)?token_embedding\.weight$/) ? fromText : undefined;
  }
}

/** A tensor of a text encoder that has transformers' names, older ones without `text_model.`, or OpenCLIP's. */
const fromText: Convert = (entry) => {
  if (entry.name.startsWith("text_model.")) return [entry];
  if (/^(embeddings|encoder\.layers|final_layer_norm)\./.test(entry.name))
    return [{ ...entry, name: `text_model.${entry.name}` }];
  return fromOpenClip(entry);
};

/** Tensors under `place`, by their names there; those of text encoders also without what wraps them. Keeps what each is called in the file. */
function inPlace(tensors: Tensors, component: ComponentName, place: string): ReadonlyMap<string, [inFile: string, TensorEntry]> {
  const out = new Map<string, [string, TensorEntry]>();
  for (const entry of withoutPrefix(tensors, place).values()) {
    const name = component.startsWith("text_encoder") ? entry.name.replace(WRAPPED, "") : entry.name;
    out.set(name, [place + entry.name, { ...entry, name }]);
  }
  return out;
}

/**
 * Finds a component in a file: the file of that component alone or of a whole checkpoint, by the names of diffusers and transformers or those of the
 * original programs, with any of the known prefixes. Looks at names and shapes only.
 * @returns undefined if the file has no such component
 */
export function findComponent(tensors: Tensors, component: ComponentName): FoundComponent | undefined {
  for (const place of PLACES[component]) {
    const named = inPlace(tensors, component, place);
    const convert = converterOf(component, new Map([...named].map(([name, [, entry]]) => [name, entry])));
    if (convert === undefined) continue;
    const found = new Map<string, TensorEntry>();
    const unknown: string[] = [];
    for (const [name, [inFile, entry]] of named) {
      if (isBeside(component, name)) continue;
      const made = convert(entry);
      if (made === undefined) unknown.push(inFile);
      else for (const one of made) found.set(one.name, one);
    }
    return { place, tensors: found, unknown };
  }
  return undefined;
}

/** All components that a file has. A text encoder that stands alone is found as both. */
export const findComponents = (tensors: Tensors): ReadonlyMap<ComponentName, FoundComponent> =>
  new Map(
    COMPONENTS.flatMap((name) => {
      const found = findComponent(tensors, name);
      return found === undefined ? [] : [[name, found] as const];
    }),
  );
