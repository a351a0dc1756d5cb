import { dirname } from "node:path";
import { LORA_COMPONENTS } from "./lora-key.ts";
import { readJsonIfThere } from "./read-json.node.ts";
import type { TensorFile } from "./tensor-file.ts";

/**
 * A LoRA's metadata, with the adapter_config.json that PEFT writes beside a file of its own names, in the form in which newer diffusers keeps
 * such configs in the file.
 * @throws UserError config/not-json
 */
export async function withPeftConfig({ path, tensors, metadata }: TensorFile): Promise<TensorFile["metadata"]> {
  const ofPeft = [...tensors.keys()].some((name) => name.startsWith("base_model.model."));
  if (!ofPeft || metadata.lora_adapter_metadata !== undefined) return metadata;
  const config = await readJsonIfThere(dirname(path), "adapter_config.json");
  if (config === undefined) return metadata;
  const named = LORA_COMPONENTS.flatMap((component) =>
    Object.entries(config).map(([key, value]) => [`${component}.${key}`, value]),
  );
  return { ...metadata, lora_adapter_metadata: JSON.stringify(Object.fromEntries(named)) };
}
