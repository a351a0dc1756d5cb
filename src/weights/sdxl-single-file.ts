import { fromOpenClip } from "./open-clip-names.ts";
import { rename } from "./rename.ts";
import { type TensorEntry, type Tensors, withoutPrefix } from "./tensor-entry.ts";
import { layoutFromOriginal, unetPaths } from "./unet-names.ts";
import { oldVaePaths, vaePaths } from "./vae-names.ts";

export const COMPONENTS = ["unet", "vae", "text_encoder", "text_encoder_2"] as const;
export type ComponentName = (typeof COMPONENTS)[number];

/** Prefixes of SDXL's components in a single file. */
export const PREFIXES: Readonly<Record<ComponentName, string>> = {
  unet: "model.diffusion_model.",
  vae: "first_stage_model.",
  text_encoder: "conditioner.embedders.0.transformer.",
  text_encoder_2: "conditioner.embedders.1.model.",
};

/** Tensors of checkpoints that making pictures does not need. */
const IGNORED: readonly RegExp[] = [
  /(^|\.)position_ids$/, // 0, 1, 2 …
  /(^|\.)logit_scale$/, // of CLIP's training loss
  /(^|\.)attn_mask$/, // the order of a text's tokens, which every CLIP has
  /^conditioner\.embedders\.0\.(transformer\.)?text_projection(\.weight)?$/, // SDXL's pooled vector is the second encoder's
  /^denoiser\.sigmas$/, // the training schedule, which the scheduler's config gives
  /(^|\.)(num_updates|decay)$/, // of an average over training
  /^model_ema\./, // a second copy of the UNet
  /^first_stage_model\.loss\./,
  /^first_stage_model\.model_ema\./,
  /^conditioner\.embedders\.1\.model\.visual\./, // CLIP's other half
  /^(betas|alphas_cumprod(_prev)?|sqrt_\w+|log_one_minus_alphas_cumprod|posterior_\w+|logvar|scale_factor)$/,
  /^cond_stage_model\.(logit_scale|null_\w+)$/,
];

/** Whether a tensor is known to be unnecessary for making pictures. */
export const isIgnored = (name: string): boolean => IGNORED.some((pattern) => pattern.test(name));

/** Tensors by which trainers mark a checkpoint that predicts velocity, zero terminal SNR, CosXL's noise levels, and Playground 2.5's latents. */
export const MARKS = {
  vPrediction: "v_pred",
  zeroSnr: "ztsnr",
  edmMax: "edm_vpred.sigma_max",
  edmMin: "edm_vpred.sigma_min",
  edmMean: "edm_mean",
  edmDeviation: "edm_std",
} as const;

export interface SingleFileParts {
  /** Tensors by the names of diffusers and transformers; a component that the file lacks is empty. */
  readonly components: Readonly<Record<ComponentName, Tensors>>;
  /** Names that are not part of an SDXL checkpoint. */
  readonly unknown: readonly string[];
}

/**
 * Maps a single-file SDXL checkpoint in the original layout to diffusers' components. Looks at names and shapes
 * only, so depth and widths may be any; the bytes stay where they are.
 */
export function splitSingleFile(tensors: Tensors): SingleFileParts {
  const unknown: string[] = [];
  const map = (component: ComponentName, convert: (part: Tensors) => Convert) => {
    const prefix = PREFIXES[component];
    const part = withoutPrefix(tensors, prefix);
    const convertOne = convert(part);
    const out = new Map<string, TensorEntry>();
    for (const entry of part.values()) {
      if (isIgnored(prefix + entry.name)) continue;
      const made = convertOne(entry);
      if (made === undefined) unknown.push(prefix + entry.name);
      else for (const one of made) out.set(one.name, one);
    }
    return out;
  };
  const components: Record<ComponentName, Tensors> = {
    unet: map("unet", fromOriginalUnet),
    vae: map("vae", fromOriginalVae),
    text_encoder: map("text_encoder", () => (entry) => (entry.name.startsWith("text_model.") ? [entry] : undefined)),
    text_encoder_2: map("text_encoder_2", () => fromOpenClip),
  };
  const marks = new Set<string>(Object.values(MARKS));
  for (const name of tensors.keys())
    if (!Object.values(PREFIXES).some((prefix) => name.startsWith(prefix)) && !isIgnored(name) && !marks.has(name))
      unknown.push(name);
  return { components, unknown };
}

/** A tensor by the names of diffusers and transformers, which may make several of it; undefined for a name that is not known. */
export type Convert = (entry: TensorEntry) => readonly TensorEntry[] | undefined;

/** Converts tensors of a UNet in the original layout. @param part all of them, by names without prefix */
export function fromOriginalUnet(part: Tensors): Convert {
  const paths = new Map(unetPaths(layoutFromOriginal(part.keys())));
  return (entry) => renamed(entry, rename(entry.name, paths));
}

/** Converts tensors of a VAE in the original layout. @param part all of them, by names without prefix */
export function fromOriginalVae(part: Tensors): Convert {
  const paths = new Map(vaePaths(part.keys()));
  return (entry) => renamed(squareAttention(entry), rename(entry.name, paths));
}

const renamed = (entry: TensorEntry, name: string | undefined): readonly TensorEntry[] | undefined =>
  name === undefined ? undefined : [{ ...entry, name }];

/** The original VAE stores attention as 1x1 convolutions: [c, c, 1, 1] becomes [c, c]. */
function squareAttention(entry: TensorEntry): TensorEntry {
  const [out, into, height, width] = entry.shape;
  const isConvolution = entry.shape.length === 4 && height === 1 && width === 1;
  return isConvolution && /\.attn_1\.|\.attentions\./.test(entry.name) ? { ...entry, shape: [out!, into!] } : entry;
}

const oldVae = new Map(oldVaePaths);

/** Tensors of a VAE in diffusers' layout, with attention named and shaped as today. */
export function modernVae(tensors: Tensors): Tensors {
  const out = new Map<string, TensorEntry>();
  for (const entry of tensors.values()) {
    const name = rename(entry.name, oldVae) ?? entry.name;
    out.set(name, { ...squareAttention(entry), name });
  }
  return out;
}
