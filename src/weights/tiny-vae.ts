import { UserError } from "../core/errors.ts";
import { identify, KIND_NAMES } from "./identify.ts";
import type { JsonObject } from "./parse-json.ts";
import type { Tensors } from "./tensor-entry.ts";

export interface TinyVaeFiles {
  /** Absolute path */
  readonly path: string;
  /** Content of a folder's config.json; a file has none, and its tensors show everything. */
  readonly config?: JsonObject;
  /** Tensors by the names of diffusers' AutoencoderTiny: `decoder.layers.0.weight` */
  readonly tensors: Tensors;
}

export const TINY_VAE_REMEDY =
  "Give the tiny autoencoder that was made for SDXL: madebyollin/taesdxl, or its taesdxl_decoder.safetensors.";

/** The decoder's tensors by diffusers' names. In the original the clamp is layer 0, so that its numbers are higher by one. */
export function tinyDecoderOf(tensors: Tensors, path: string): Tensors {
  const kind = identify(tensors);
  if (kind === "tiny-vae-encoder")
    throw new UserError("tiny-vae/encoder-only", `${path} is ${KIND_NAMES[kind]}, and its decoder is needed.`, TINY_VAE_REMEDY);
  if (kind !== "tiny-vae")
    throw new UserError(
      "tiny-vae/wrong-kind",
      `${path} is ${KIND_NAMES[kind]}, not a tiny autoencoder (TAESD).`,
      TINY_VAE_REMEDY,
    );
  if (tensors.has("decoder.layers.0.weight")) return new Map([...tensors].filter(([name]) => name.startsWith("decoder.")));
  return new Map(
    [...tensors.values()].map((entry) => {
      const [layer, ...rest] = entry.name.split(".");
      const name = ["decoder.layers", Number(layer) - 1, ...rest].join(".");
      return [name, { ...entry, name }];
    }),
  );
}
