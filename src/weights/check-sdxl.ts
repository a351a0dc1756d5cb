import { UserError } from "../core/errors.ts";
import { identify, KIND_NAMES, type Kind } from "./identify.ts";
import { COMPONENTS, type ComponentName } from "./sdxl-single-file.ts";
import type { Tensors } from "./tensor-entry.ts";

const FITTING: Readonly<Record<ComponentName, readonly Kind[]>> = {
  unet: ["unet-sdxl"],
  vae: ["vae"],
  text_encoder: ["clip-text", "clip-text-projection"],
  text_encoder_2: ["clip-text-projection"],
};

/** @throws UserError model/not-sdxl, model/refiner, model/inpainting, model/wrong-kind for everything but an SDXL base model */
export function refuseOtherKinds(kind: Kind, path: string): void {
  const is = `${path} is ${KIND_NAMES[kind]}`;
  switch (kind) {
    case "sdxl":
      return;
    case "sd1":
    case "sd2":
    case "sd3":
    case "flux":
      throw new UserError("model/not-sdxl", `${is}, not SDXL.`, "Give an SDXL checkpoint: PhotoMaker is made for SDXL only.");
    case "sdxl-refiner":
      throw new UserError("model/refiner", `${is}.`, "Give the base model, such as stabilityai/stable-diffusion-xl-base-1.0.");
    case "sdxl-inpainting":
      throw new UserError("model/inpainting", `${is}.`, "Give a checkpoint that makes pictures from text alone.");
    case "lora":
      throw new UserError("model/wrong-kind", `${is}, not a model.`, "Give it with --lora, and an SDXL checkpoint with --model.");
    case "photomaker-v1":
    case "photomaker-v2":
      throw new UserError(
        "model/wrong-kind",
        `${is}, not a model.`,
        "Give it with --adapter, and an SDXL checkpoint with --model.",
      );
    default:
      throw new UserError(
        "model/wrong-kind",
        `${is}, not a whole SDXL model.`,
        "Give an SDXL checkpoint, or the folder of a diffusers model.",
      );
  }
}

/**
 * Checks that four components make an SDXL model, by names and shapes.
 * @throws UserError model/missing-component, model/wrong-component, model/not-sdxl, model/refiner, model/inpainting
 */
export function checkSdxl(components: Readonly<Record<ComponentName, Tensors>>, path: string): void {
  const missing = COMPONENTS.filter((name) => components[name].size === 0);
  if (missing.length > 0)
    throw new UserError(
      "model/missing-component",
      `${path} has no ${missing.join(", no ")}.`,
      "Give a complete SDXL model: UNet, VAE and both text encoders.",
    );
  for (const name of COMPONENTS) {
    const kind = identify(components[name]);
    if (FITTING[name].includes(kind)) continue;
    if (name === "unet" && kind === "unet") {
      const width = contextWidth(components.unet);
      const seems = width === 768 ? ", as of Stable Diffusion 1.x" : width === 1024 ? ", as of Stable Diffusion 2.x" : "";
      throw new UserError(
        "model/not-sdxl",
        `The UNet of ${path} is not SDXL's: it takes text embeddings ${width} wide${seems}.`,
        "Give an SDXL model.",
      );
    }
    throw wrong(path, `its ${name} is ${KIND_NAMES[kind]}`);
  }

  const { unet, vae, text_encoder, text_encoder_2 } = components;
  const latent = vae.get("decoder.conv_in.weight")?.shape[1];
  const input = unet.get("conv_in.weight")?.shape[1];
  if (latent !== undefined && input === 2 * latent + 1) refuseOtherKinds("sdxl-inpainting", path);
  if (input !== latent) throw wrong(path, `its UNet takes ${input} channels and its VAE gives ${latent}`);
  const output = unet.get("conv_out.weight")?.shape[0];
  if (output !== undefined && output !== latent)
    throw wrong(path, `its UNet answers with ${output} channels and its VAE gives ${latent}`);

  const width = contextWidth(unet);
  const [first, second] = [text_encoder, text_encoder_2].map(
    (text) => text.get("text_model.final_layer_norm.weight")?.shape[0] ?? 0,
  );
  if (width === second) refuseOtherKinds("sdxl-refiner", path);
  if (width !== first! + second!)
    throw wrong(path, `its UNet takes text embeddings ${width} wide and its text encoders give ${first} and ${second}`);
}

const wrong = (path: string, what: string) =>
  new UserError("model/wrong-component", `${path} does not fit together: ${what}.`, "Take all components from one SDXL model.");

function contextWidth(unet: Tensors): number | undefined {
  for (const [name, { shape }] of unet) if (name.endsWith(".attn2.to_k.weight")) return shape[1];
  return undefined;
}
