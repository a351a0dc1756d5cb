import { resolve } from "node:path";
import { UserError } from "../core/errors.ts";
import { readComponentFolder } from "./component-folder.node.ts";
import { unwrapStateDict } from "./model.ts";
import { openTensors } from "./open-tensors.node.ts";
import { isFolder, readJsonIfThere } from "./read-json.node.ts";
import { TINY_VAE_REMEDY, type TinyVaeFiles, tinyDecoderOf } from "./tiny-vae.ts";

/**
 * Opens the decoder of a tiny autoencoder (TAESD): diffusers' folder or its file of weights, or the original's
 * decoder file, safetensors or .pth. Reads no weights.
 *
 * @throws UserError tiny-vae/wrong-kind, tiny-vae/encoder-only, tiny-vae/not-found, and those of openTensors
 */
export async function openTinyVae(path: string): Promise<TinyVaeFiles> {
  const absolute = resolve(path);
  if (!(await isFolder(absolute)))
    return { path: absolute, tensors: tinyDecoderOf(unwrapStateDict(await openTensors(absolute)), absolute) };
  const weights = await readComponentFolder(absolute);
  if (weights === undefined)
    throw new UserError(
      "tiny-vae/not-found",
      `${absolute} has no diffusion_pytorch_model.safetensors, so it is not a folder of a tiny autoencoder.`,
      TINY_VAE_REMEDY,
    );
  const tensors = tinyDecoderOf(weights.tensors, absolute);
  const config = await readJsonIfThere(absolute, "config.json");
  return { path: absolute, tensors, ...(config && { config }) };
}
