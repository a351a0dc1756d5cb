import { UserError } from "../../core/errors.ts";
import type { Notice } from "../../core/notice.ts";
import type { LoraPair } from "../../graph/lora.ts";
import type { LoraPairs } from "../../sessions/graphs.ts";
import type { AdapterFiles } from "../../weights/adapter.ts";
import { identify } from "../../weights/identify.ts";
import { type LoraLayer, matchLora } from "../../weights/lora-match.ts";
import type { ModelFiles } from "../../weights/model.ts";
import { openTensors } from "../../weights/open-tensors.node.ts";
import type { ComponentName } from "../../weights/sdxl-single-file.ts";
import type { Tensors } from "../../weights/tensor-entry.ts";

export interface LoraRequest {
  readonly path: string;
  readonly scale: number;
}

/**
 * All low-rank changes of a model: the adapter's own and the user's, each with its strength, and the metadata of the user's files.
 * @throws UserError adapter/wrong-model when the adapter's LoRA does not fit, lora/textual-inversion, and those of openTensors and matchLora
 */
export async function collectLoras(
  model: ModelFiles,
  adapter: AdapterFiles | undefined,
  adapterScale: number,
  loras: readonly LoraRequest[],
): Promise<{
  readonly pairs: LoraPairs;
  readonly metadata: readonly Readonly<Record<string, string>>[];
  readonly notices: readonly Notice[];
}> {
  const targets = Object.fromEntries(
    (["unet", "text_encoder", "text_encoder_2"] as const).map((name) => [name, model.components[name].tensors]),
  );
  const pairs = new Map<ComponentName, Map<string, LoraPair[]>>();
  const notices: Notice[] = [];
  const allMetadata: Readonly<Record<string, string>>[] = [];
  if (adapter !== undefined) {
    const { layers, unmatched } = await matchNamed(adapter.path, adapter.lora, targets);
    if (unmatched.length > 0)
      throw new UserError(
        "adapter/wrong-model",
        `${unmatched.length} weights of the adapter's LoRA have no place in the model, such as ${unmatched[0]}.`,
        "Use the adapter with the kind of model that it was made for: Stable Diffusion XL.",
      );
    addAll(pairs, layers, adapterScale);
  }
  for (const { path, scale } of loras) {
    const { tensors, metadata } = await openTensors(path);
    allMetadata.push(metadata);
    refuseEmbedding(path, tensors);
    const { layers, unmatched } = await matchNamed(path, tensors, targets, metadata);
    if (unmatched.length > 0)
      notices.push({
        code: "lora/unmatched",
        message: `${path}: ${unmatched.length} of its ${tensors.size} tensors match nothing in the model and are not used: ${listed(unmatched)}.`,
      });
    addAll(pairs, layers, scale);
  }
  return { pairs, metadata: allMetadata, notices };
}

/** @throws UserError lora/textual-inversion */
function refuseEmbedding(path: string, tensors: Tensors): void {
  if (identify(tensors) !== "textual-inversion") return;
  const name = path.replace(/^.*[\\/]/, "").replace(/\.\w+$/, "");
  throw new UserError(
    "lora/textual-inversion",
    `${path} is a textual inversion embedding, not a LoRA.`,
    `Give it with --embeddings ${path} (embeddings in code), and write embedding:${name} in the prompt or the negative prompt.`,
  );
}

/** What is wrong with one of several files says which one it is. */
async function matchNamed(path: string, ...of: Parameters<typeof matchLora>): ReturnType<typeof matchLora> {
  try {
    return await matchLora(...of);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(error.code, `${path}: ${error.message}`, error.remedy, { cause: error });
  }
}

function addAll(pairs: Map<ComponentName, Map<string, LoraPair[]>>, layers: readonly LoraLayer[], strength: number): void {
  if (strength === 0) return;
  for (const { component, path, down, up, scale } of layers) {
    const ofComponent = pairs.get(component) ?? new Map<string, LoraPair[]>();
    pairs.set(component, ofComponent);
    const key = `${path}.weight`;
    ofComponent.set(key, [...(ofComponent.get(key) ?? []), { down, up, scale: scale * strength }]);
  }
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
