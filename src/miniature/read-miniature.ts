import { openAdapter, openModel, type Tensors } from "../weights/index.ts";
import type { TrainedParts } from "./export.ts";

/**
 * Reads a finished miniature that `exportMiniature` wrote, in half precision, under the names of its training stages.
 * @throws UserError those of openModel and openAdapter
 */
export async function readMiniature(folder: string): Promise<TrainedParts> {
  const { components } = await openModel(folder);
  const { idEncoder, lora } = await openAdapter(folder);
  const { unet, text_encoder, text_encoder_2, vae } = components;
  const isVision = (name: string): boolean => name.startsWith("vision_model.");
  const part = (name: string, tensors: Tensors) => [...tensors].map(([key, entry]) => [`${name}.${key}`, entry] as const);
  return {
    vae: vae.tensors,
    scalingFactor: Number(vae.config?.scaling_factor),
    base: new Map([
      ...part("text_encoder", text_encoder.tensors),
      ...part("text_encoder_2", text_encoder_2.tensors),
      ...part("unet", unet.tensors),
    ]),
    vision: new Map([...idEncoder].filter(([name]) => isVision(name))),
    adapter: new Map([...part("id_encoder", idEncoder).filter(([name]) => !isVision(name.slice("id_encoder.".length))), ...lora]),
  };
}
