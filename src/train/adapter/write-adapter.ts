import { join } from "node:path";
import { writeFileAtomically } from "../../core/atomic-file.node.ts";
import { floatsToHalves } from "../../core/floats.ts";
import { makeFolder } from "../../core/make-folder.node.ts";
import { copyTensor, type TensorToWrite, writeSafetensors } from "../../weights/index.ts";
import type { TrainedWeights } from "../run.ts";
import type { StartWeights } from "./start.ts";

export const ADAPTER_FILE = "photomaker-v1.safetensors";

/**
 * Writes a PhotoMaker V1 adapter as `photomaker generate --adapter` and the reference code read it: the whole ID encoder, including its
 * frozen weights, and the LoRA; trained weights in half precision. Writes the vision model's sizes beside it.
 * @returns the adapter's path
 */
export async function writeAdapter(folder: string, start: StartWeights, trained: TrainedWeights): Promise<string> {
  await makeFolder(folder);
  const learnt = [...trained].map(
    ([name, { shape, values }]): TensorToWrite => ({
      name: name.startsWith("unet.") ? `lora_weights.${name}` : name,
      dtype: "F16",
      shape,
      data: async () => floatsToHalves(values),
    }),
  );
  const known = new Set(learnt.map(({ name }) => name));
  const frozen = [...start.frozen]
    .filter(([name]) => name.startsWith("vision_model.") && !known.has(`id_encoder.${name}`))
    .map(([name, entry]) => ({ ...copyTensor(entry), name: `id_encoder.${name}` }));
  const sizes = `${JSON.stringify({ trained: { vision: start.sizes } }, undefined, 2)}\n`;
  await writeFileAtomically(join(folder, "photomaker-config.json"), (sink) => sink.write(new TextEncoder().encode(sizes)));
  const path = join(folder, ADAPTER_FILE);
  await writeSafetensors(path, [...learnt, ...frozen]);
  return path;
}
