import { resolve } from "node:path";
import { UserError } from "../core/errors.ts";
import { readComponentFolder } from "./component-folder.ts";
import { identify, KIND_NAMES } from "./identify.ts";
import { unwrapStateDict } from "./model.ts";
import { openTensors } from "./open-tensors.ts";
import { isFolder, type JsonObject, readJsonIfThere } from "./read-json.ts";
import type { Tensors } from "./tensor-entry.ts";

export interface TinyVaeFiles {
  /** Absolute path */
  readonly path: string;
  /** Content of a folder's config.json; a file has none, and its tensors show everything. */
  readonly config?: JsonObject;
  /** Tensors by the names of diffusers' AutoencoderTiny: `decoder.layers.0.weight` */
  readonly tensors: Tensors;
}

const REMEDY = "Give the tiny autoencoder that was made for SDXL: madebyollin/taesdxl, or its taesdxl_decoder.safetensors.";

/**
 * Opens the decoder of a tiny autoencoder (TAESD): diffusers' folder or weight file, or the original's
 * decoder file, safetensors or .pth. Reads no weights.
 *
 * @throws UserError tiny-vae/wrong-kind, tiny-vae/encoder-only, tiny-vae/not-found, config/not-json, config/too-large; file/*, weights/*,
 *   safetensors/*, torch/*, zip/*, pickle/*
 */
export async function openTinyVae(path: string): Promise<TinyVaeFiles> {
  const absolute = resolve(path);
  if (!(await isFolder(absolute)))
    return { path: absolute, tensors: decoderOf(unwrapStateDict(await openTensors(absolute)), absolute) };
  const weights = await readComponentFolder(absolute);
  if (weights === undefined)
    throw new UserError(
      "tiny-vae/not-found",
      `${absolute} has no diffusion_pytorch_model.safetensors, so it is not a folder of a tiny autoencoder.`,
      REMEDY,
    );
  const tensors = decoderOf(weights.tensors, absolute);
  const config = await readJsonIfThere(absolute, "config.json");
  return { path: absolute, tensors, ...(config && { config }) };
}

/** The decoder's tensors by diffusers' names. In the original, layer 0 is the clamp, so its layer numbers are higher by one. */
function decoderOf(tensors: Tensors, path: string): Tensors {
  const kind = identify(tensors);
  if (kind === "tiny-vae-encoder")
    throw new UserError("tiny-vae/encoder-only", `${path} is ${KIND_NAMES[kind]}, but the decoder is needed.`, REMEDY);
  if (kind !== "tiny-vae")
    throw new UserError("tiny-vae/wrong-kind", `${path} is ${KIND_NAMES[kind]}, not a tiny autoencoder (TAESD).`, REMEDY);
  if (tensors.has("decoder.layers.0.weight")) return new Map([...tensors].filter(([name]) => name.startsWith("decoder.")));
  return new Map(
    [...tensors.values()].map((entry) => {
      const [layer, ...rest] = entry.name.split(".");
      const name = ["decoder.layers", Number(layer) - 1, ...rest].join(".");
      return [name, { ...entry, name }];
    }),
  );
}
