import { UserError } from "../core/errors.ts";
import { KIND_NAMES, type Kind, kindOfComponent } from "./identify.ts";
import { COMPONENTS, type ComponentName } from "./sdxl-single-file.ts";
import type { Tensors } from "./tensor-entry.ts";

const FITTING: Readonly<Record<ComponentName, readonly Kind[]>> = {
  unet: ["unet-sdxl"],
  vae: ["vae"],
  text_encoder: ["clip-text", "clip-text-projection"],
  text_encoder_2: ["clip-text-projection"],
};

/** Flags that give a part of a model. */
const FLAGS: Readonly<Record<ComponentName, string>> = {
  unet: "--unet",
  vae: "--vae",
  text_encoder: "--text-encoder",
  text_encoder_2: "--text-encoder-2",
};

/** The parts in words. */
export const PART_NAMES: Readonly<Record<ComponentName, string>> = {
  unet: "UNet",
  vae: "VAE",
  text_encoder: "first text encoder (CLIP ViT-L)",
  text_encoder_2: "second text encoder (OpenCLIP bigG)",
};

/** Where files of other kinds belong that are given as a model or a part of one. */
const REMEDIES: { readonly [K in Kind]?: string } = {
  lora: "Give it with --lora, and an SDXL checkpoint with --model.",
  "photomaker-v1": "Give it with --adapter, and an SDXL checkpoint with --model.",
  "photomaker-v2": "Give it with --adapter, and an SDXL checkpoint with --model.",
  "tiny-vae": "Give it with --tiny-vae, and an SDXL checkpoint with --model.",
  "textual-inversion": "Give it with --embeddings, and an SDXL checkpoint with --model.",
  "unet-sdxl": "Give it with --unet, and an SDXL checkpoint with --model.",
  vae: "Give it with --vae, and an SDXL checkpoint with --model.",
  "clip-text": "Give it with --text-encoder, and an SDXL checkpoint with --model.",
  "clip-text-projection": "Give it with --text-encoder-2 (or --text-encoder), and an SDXL checkpoint with --model.",
};

/** @throws UserError model/not-sdxl, model/refiner, model/inpainting for models that are not an SDXL base model */
function refuseModels(kind: Kind, path: string): void {
  const is = `${path} is ${KIND_NAMES[kind]}`;
  switch (kind) {
    case "sd1":
    case "sd2":
    case "sd3":
    case "flux":
      throw new UserError("model/not-sdxl", `${is}, not SDXL.`, "Give an SDXL checkpoint: PhotoMaker is made for SDXL only.");
    case "sdxl-refiner":
      throw new UserError("model/refiner", `${is}.`, "Give the base model, such as stabilityai/stable-diffusion-xl-base-1.0.");
    case "sdxl-inpainting":
      throw new UserError(
        "model/inpainting",
        `${is}, and inpainting is not supported yet.`,
        "Give a checkpoint that makes pictures from text alone.",
      );
  }
}

/** @throws UserError model/not-sdxl, model/refiner, model/inpainting, model/wrong-kind for everything but an SDXL base model or parts of one */
export function refuseOtherKinds(kind: Kind, path: string): void {
  if (kind === "sdxl" || kind === "sdxl-parts" || kind === "unet-sdxl") return;
  refuseModels(kind, path);
  const not = REMEDIES[kind] === undefined || PARTS.has(kind) ? "a whole SDXL model" : "a model";
  throw new UserError(
    "model/wrong-kind",
    `${path} is ${KIND_NAMES[kind]}, not ${not}.`,
    REMEDIES[kind] ?? "Give an SDXL checkpoint, or the folder of a diffusers model.",
  );
}

/** Kinds that are a part of a model. */
const PARTS: ReadonlySet<Kind> = new Set(["vae", "clip-text", "clip-text-projection"]);

/**
 * The error for a file that is given as a part of a model and has no such part.
 * @param kind what it is instead
 */
export function wrongPart(path: string, part: ComponentName, kind: Kind): UserError {
  if (kind === "sdxl" || kind === "sdxl-parts" || kind === "unknown")
    return new UserError(
      kind === "unknown" ? "model/wrong-kind" : "model/missing-component",
      kind === "unknown"
        ? `${path} is ${KIND_NAMES[kind]}, not the ${PART_NAMES[part]} of an SDXL model.`
        : `${path} has no ${PART_NAMES[part]}.`,
      `Give ${FLAGS[part]} a file or a folder with this part.`,
    );
  if (kind !== "unet-sdxl") refuseModels(kind, path);
  return new UserError(
    "model/wrong-kind",
    `${path} is ${KIND_NAMES[kind]}, not the ${PART_NAMES[part]} of an SDXL model.`,
    REMEDIES[kind] ?? `Give ${FLAGS[part]} a file or a folder with this part.`,
  );
}

export interface CheckedModel {
  readonly components: Readonly<Record<ComponentName, Tensors>>;
  /** Path of the model. */
  readonly path: string;
  /** Paths of parts that are given apart. */
  readonly parts?: { readonly [Name in ComponentName]?: string };
  /** Whether missing parts can be given apart, so that the remedy says how. */
  readonly takesParts?: boolean;
}

/**
 * Checks that four components make an SDXL model, by names and shapes.
 * @throws UserError model/missing-component, model/wrong-component, model/not-sdxl, model/refiner, model/inpainting
 */
export function checkSdxl({ components, path: model, parts = {}, takesParts = false }: CheckedModel): void {
  const missing = COMPONENTS.filter((name) => components[name].size === 0);
  if (missing.length > 0)
    throw new UserError(
      "model/missing-component",
      `${model} has no ${missing.join(", no ")}.`,
      takesParts
        ? `Give a complete SDXL model, or what is missing with ${listed(missing.map((name) => FLAGS[name]))}: a file, a folder or org/name.`
        : "Give a complete SDXL model: UNet, VAE and both text encoders.",
    );
  const others = COMPONENTS.flatMap((name) => (parts[name] === undefined ? [] : [`the ${name} of ${parts[name]}`]));
  /** The model with its parts, for what shows only when they are together. */
  const together = others.length === 0 ? model : `${model} with ${listed(others)}`;
  const pathOf = (name: ComponentName): string => parts[name] ?? model;
  for (const name of COMPONENTS) {
    const kind = kindOfComponent(components[name]);
    if (FITTING[name].includes(kind)) continue;
    if (name === "unet" && kind === "unet") {
      const width = contextWidth(components.unet);
      const seems = width === 768 ? ", as of Stable Diffusion 1.x" : width === 1024 ? ", as of Stable Diffusion 2.x" : "";
      throw new UserError(
        "model/not-sdxl",
        `The UNet of ${pathOf("unet")} is not SDXL's: it takes text embeddings ${width} wide${seems}.`,
        "Give an SDXL model.",
      );
    }
    if (parts[name] !== undefined) throw wrongPart(parts[name], name, kind);
    throw wrong(model, `its ${name} is ${KIND_NAMES[kind]}`);
  }

  const { unet, vae, text_encoder, text_encoder_2 } = components;
  const latent = vae.get("decoder.conv_in.weight")?.shape[1];
  const input = unet.get("conv_in.weight")?.shape[1];
  if (latent !== undefined && input === 2 * latent + 1) refuseOtherKinds("sdxl-inpainting", pathOf("unet"));
  if (input !== latent) throw wrong(together, `its UNet takes ${input} channels and its VAE gives ${latent}`);
  const output = unet.get("conv_out.weight")?.shape[0];
  if (output !== undefined && output !== latent)
    throw wrong(together, `its UNet answers with ${output} channels and its VAE gives ${latent}`);

  const width = contextWidth(unet);
  const encoders = [text_encoder, text_encoder_2];
  const [first, second] = encoders.map((text) => text.get("text_model.final_layer_norm.weight")?.shape[0] ?? 0);
  if (width === second) refuseOtherKinds("sdxl-refiner", pathOf("unet"));
  if (width !== first! + second!)
    throw wrong(together, `its UNet takes text embeddings ${width} wide and its text encoders give ${first} and ${second}`);
  if (others.length > 0 && first! > second!)
    throw wrong(together, `its first text encoder gives ${first} numbers and its second ${second}, so they are exchanged`);
}

const listed = (names: readonly string[]): string =>
  [names.slice(0, -1).join(", "), ...names.slice(-1)].filter(Boolean).join(" and ");

const wrong = (path: string, what: string) =>
  new UserError("model/wrong-component", `${path} does not fit together: ${what}.`, "Take all components from one SDXL model.");

function contextWidth(unet: Tensors): number | undefined {
  for (const [name, { shape }] of unet) if (name.endsWith(".attn2.to_k.weight")) return shape[1];
  return undefined;
}
