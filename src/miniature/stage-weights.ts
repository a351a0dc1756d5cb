import { join } from "node:path";
import type { TrainedWeights } from "../train/run.ts";
import { openTensors, readManyFloats, type Tensors, writeSafetensors } from "../weights/index.ts";

/** Path of a finished stage's weights. */
export const stageWeightsPath = (folder: string, stage: string): string => join(folder, stage, "weights.safetensors");

/** @throws UserError disk/full and others of writeSafetensors */
export async function writeStageWeights(
  folder: string,
  stage: string,
  weights: TrainedWeights,
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  const tensors = [...weights].map(([name, { shape, values }]) => ({ name, dtype: "F32" as const, shape, data: values }));
  await writeSafetensors(stageWeightsPath(folder, stage), tensors, more);
}

export const readStageWeights = async (folder: string, stage: string): Promise<Tensors> =>
  (await openTensors(stageWeightsPath(folder, stage))).tensors;

/** Reads the values of a file's tensors. */
export async function trainedWeights(tensors: Tensors): Promise<TrainedWeights> {
  const values = await readManyFloats([...tensors.values()]);
  return new Map([...tensors].map(([name, { shape }], i) => [name, { shape, values: values[i]! }]));
}

/** Reads the finished autoencoder: the first stage's encoder, with the decoder that was trained further. */
export const readAutoencoder = async (folder: string): Promise<Tensors> =>
  new Map([...(await readStageWeights(folder, "vae")), ...(await readStageWeights(folder, "decoder"))]);
