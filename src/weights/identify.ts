import { findComponents } from "./find-component.ts";
import { parseLoraKey } from "./lora-key.ts";
import type { Tensors } from "./tensor-entry.ts";

/** What a set of tensors is, as far as names and shapes show. */
export type Kind =
  | "sdxl"
  | "sdxl-inpainting"
  | "sdxl-refiner"
  | "sd1"
  | "sd2"
  | "sd3"
  | "flux"
  | "photomaker-v1"
  | "photomaker-v2"
  | "lora"
  | "ip-adapter"
  | "controlnet"
  | "t2i-adapter"
  | "textual-inversion"
  | "unet"
  | "unet-sdxl"
  | "sdxl-parts"
  | "vae"
  | "tiny-vae"
  | "tiny-vae-encoder"
  | "clip-text"
  | "clip-text-projection"
  | "clip-vision"
  | "unknown";

/** The kind in words, to follow "it is". */
export const KIND_NAMES: Readonly<Record<Kind, string>> = {
  sdxl: "an SDXL checkpoint",
  "sdxl-inpainting": "an SDXL inpainting checkpoint (9 input channels)",
  "sdxl-refiner": "the SDXL refiner",
  sd1: "a Stable Diffusion 1.x checkpoint",
  sd2: "a Stable Diffusion 2.x checkpoint",
  sd3: "a Stable Diffusion 3 checkpoint",
  flux: "a FLUX checkpoint",
  "photomaker-v1": "a PhotoMaker V1 adapter",
  "photomaker-v2": "a PhotoMaker V2 adapter",
  lora: "a LoRA",
  "ip-adapter": "an IP-Adapter",
  controlnet: "a ControlNet",
  "t2i-adapter": "a T2I-Adapter",
  "textual-inversion": "a textual inversion embedding",
  unet: "a UNet that is not SDXL's, alone",
  "unet-sdxl": "an SDXL UNet alone",
  "sdxl-parts": "a file with parts of a model",
  vae: "a VAE alone",
  "tiny-vae": "a tiny autoencoder (TAESD)",
  "tiny-vae-encoder": "the encoder alone of a tiny autoencoder (TAESD)",
  "clip-text": "a CLIP text encoder alone",
  "clip-text-projection": "a CLIP text encoder with projection alone",
  "clip-vision": "a CLIP image encoder alone",
  unknown: "something else",
};

/** Roles whose names other files use as well. */
const COMMON_ROLES: ReadonlySet<string> = new Set(["alpha", "rescale", "ia3", "a1", "a2", "b1", "b2", "bm"]);

/** Whether a tensor's name is one of LoRA's and its kin's alone. */
export function isLoraKey(name: string): boolean {
  const key = parseLoraKey(name);
  return key !== undefined && (!COMMON_ROLES.has(key.role) || /^(lora|lycoris)_/.test(name));
}

/**
 * What stands before the names of an ID encoder's tensors, as one of them shows: `id_encoder.`, `pmid.`, what a program puts around the modules
 * that it saves (`photomaker.id_encoder.`, `module.id_encoder.`), or nothing, in files whose writers took it off.
 */
export const encoderPrefix = (name: string): string | undefined =>
  /^((?:[\w-]+[./])*?)(?:fuse_module|qformer_perceiver)\./.exec(name)?.[1];

/** The kind of a file or component, by its tensors' names and shapes. */
export function identify(tensors: Tensors): Kind {
  const names = [...tensors.keys()];
  const any = (pattern: RegExp) => names.some((name) => pattern.test(name));

  if (names.some((name) => encoderPrefix(name) !== undefined))
    return any(/(^|[./])qformer_perceiver\./) ? "photomaker-v2" : "photomaker-v1";
  if (any(/^ip_adapter\.|^image_proj\./)) return "ip-adapter";
  if (any(/^(control_model\.|controlnet_cond_embedding\.|input_hint_block\.|(controlnet_)?down_blocks\.\d+\.zero_conv)/))
    return "controlnet";
  if (any(/^(adapter\.)?body\.\d+\.(resnets|block1)/)) return "t2i-adapter";
  if (names.some(isLoraKey)) return "lora";
  if (any(/^model\.diffusion_model\.(joint_blocks|context_embedder)/)) return "sd3";
  if (any(/^(model\.diffusion_model\.)?(double_blocks|single_blocks|single_transformer_blocks)\./)) return "flux";
  if (any(/^cond_stage_model\.transformer\./)) return "sd1";
  if (any(/^cond_stage_model\.model\./)) return "sd2";
  const single = any(/^model\.diffusion_model\./) ? singleFileUnet(tensors) : "unknown";
  if (single !== "unknown") return single;
  if (names.length <= 4 && any(/^(clip_[lg]|emb_params|string_to_param\b.*|<.+>)$/)) return "textual-inversion";
  const canonical = kindOfComponent(tensors);
  if (canonical !== "unknown") return canonical;
  const found = [...findComponents(tensors).values()];
  const places = new Set(found.map(({ place }) => place));
  if (places.size > 1) return "sdxl-parts";
  return found.length === 0 ? "unknown" : kindOfComponent(found[0]!.tensors);
}

/** The kind of a component by the names of diffusers and transformers. */
export function kindOfComponent(tensors: Tensors): Kind {
  const names = [...tensors.keys()];
  const any = (pattern: RegExp) => names.some((name) => pattern.test(name));
  if (any(/^conv_in\.weight$/) && any(/^down_blocks\./)) return any(/^add_embedding\./) ? "unet-sdxl" : "unet";
  if (any(/^decoder\.conv_in\.weight$/) && any(/^encoder\.conv_in\.weight$/)) return "vae";
  if (any(/^(decoder\.layers\.0|1)\.weight$/) && any(/^(decoder\.layers\.2|3)\.conv\.0\.weight$/)) return "tiny-vae";
  if (any(/^(encoder\.layers\.)?0\.weight$/) && any(/^(encoder\.layers\.)?1\.conv\.0\.weight$/)) return "tiny-vae-encoder";
  if (any(/^text_model\.embeddings\./)) return tensors.has("text_projection.weight") ? "clip-text-projection" : "clip-text";
  if (any(/^vision_model\./)) return "clip-vision";
  return "unknown";
}

function singleFileUnet(tensors: Tensors): Kind {
  const unet = "model.diffusion_model.";
  const names = [...tensors.keys()];
  if (tensors.has(`${unet}label_emb.0.0.weight`)) {
    if (names.some((name) => name.startsWith("conditioner.embedders.0.model."))) return "sdxl-refiner";
    return tensors.get(`${unet}input_blocks.0.0.weight`)?.shape[1] === 9 ? "sdxl-inpainting" : "sdxl";
  }
  const context = names.find((name) => name.startsWith(unet) && name.endsWith(".attn2.to_k.weight"));
  const width = context && tensors.get(context)?.shape[1];
  return width === 1024 ? "sd2" : width === 768 ? "sd1" : "unknown";
}
