import { fileURLToPath } from "node:url";
import { openTensors } from "../weights/open-tensors.node.ts";
import type { Tensors } from "../weights/tensor-entry.ts";

/** Weights of a network that looks at photos, as the package ships them. */
export const faceWeights = async (name: string): Promise<Tensors> =>
  (await openTensors(fileURLToPath(new URL(`../../assets/faces/${name}.safetensors`, import.meta.url)))).tensors;
