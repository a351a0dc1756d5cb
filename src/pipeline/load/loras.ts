import { UserError } from "../../core/errors.ts";
import type { Notice } from "../../core/notice.ts";
import type { LoraPair } from "../../graph/lora.ts";
import type { LoraPairs } from "../../sessions/graphs.ts";
import { type AdapterFiles, LORA_APART, NO_LORA } from "../../weights/adapter.ts";
import { blockWeights } from "../../weights/block-weights.ts";
import { changedWeight, type PatchWithStrength } from "../../weights/changed-weight.ts";
import { loraTensors } from "../../weights/lora-file.ts";
import { type MatchedLora, matchLora, patchOf } from "../../weights/lora-match.ts";
import type { ModelFiles } from "../../weights/model.ts";
import { openTensors } from "../../weights/open-tensors.node.ts";
import { withPeftConfig } from "../../weights/peft-config.node.ts";
import type { ComponentName } from "../../weights/sdxl-single-file.ts";
import type { TensorEntry } from "../../weights/tensor-entry.ts";

export interface LoraRequest {
  readonly path: string;
  readonly scale: number;
  /** How much of it each block takes: see {@link blockWeights}. */
  readonly blocks?: readonly number[] | undefined;
}

export interface CollectedLoras {
  /** Low-rank branches beside layers. */
  readonly pairs: LoraPairs;
  /** The model, with weights that LoRA's kin changes: they are computed when they are read. */
  readonly model: ModelFiles;
  /** Stands for the changes of each component's weights: the same text for the same changes. */
  readonly changes: ReadonlyMap<ComponentName, string>;
  /** Of the user's files. */
  readonly metadata: readonly Readonly<Record<string, string>>[];
  readonly notices: readonly Notice[];
}

/**
 * Collects all changes of a model: the adapter's own and the user's, each with its strength. Where all files change a weight by low-rank products,
 * these become branches beside the layer; else they change the weight itself, in the order of the files.
 * @throws UserError adapter/wrong-model when the adapter's LoRA does not fit, and those of openTensors, loraTensors and matchLora
 */
export async function collectLoras(
  model: ModelFiles,
  adapter: AdapterFiles | undefined,
  adapterScale: number,
  loras: readonly LoraRequest[],
): Promise<CollectedLoras> {
  const targets = Object.fromEntries(
    (["unet", "text_encoder", "text_encoder_2"] as const).map((name) => [name, model.components[name].tensors]),
  );
  const changes: Change[] = [];
  const notices: Notice[] = [];
  const allMetadata: Readonly<Record<string, string>>[] = [];
  if (adapter !== undefined && adapter.lora.size > 0) {
    const found = await matchNamed(adapter.path, adapter.lora, targets);
    const { unmatched } = found;
    if (unmatched.length > 0)
      throw new UserError(
        "adapter/wrong-model",
        `${unmatched.length} weights of the adapter's LoRA match nothing in the model, such as ${unmatched[0]}.`,
        "Use the adapter with a model of the kind that it was made for: Stable Diffusion XL.",
      );
    changes.push(...changesOf(found, adapterScale, "adapter"));
  }
  for (const [i, { path, scale, blocks }] of loras.entries()) {
    const file = await openTensors(path);
    const metadata = await withPeftConfig(file);
    const tensors = loraTensors(file);
    allMetadata.push(metadata);
    const factorOf = blocks && blockWeights(blocks, model.components.unet.tensors.keys());
    const found = await matchNamed(path, tensors, targets, metadata);
    const { unmatched } = found;
    if (unmatched.length > 0)
      notices.push({
        code: "lora/unmatched",
        message: `${path}: ${unmatched.length} of its ${tensors.size} tensors match nothing in the model and are not used: ${listed(unmatched)}.`,
      });
    changes.push(...changesOf(found, scale, `${i}`, factorOf));
  }
  if (adapter === undefined || adapter.lora.size > 0) return { ...apply(model, changes), metadata: allMetadata, notices };
  const { index, notice } = loraApart(model, adapter, loras, changes);
  notices.push(notice);
  const scaled = changes.map((change) => (change.file === `${index}` ? times(change, adapterScale) : change));
  return {
    ...apply(
      model,
      scaled.filter(({ strength }) => strength !== 0),
    ),
    metadata: allMetadata,
    notices,
  };
}

/** Matches a LoRA; errors name the file, since there may be several. */
async function matchNamed(path: string, ...of: Parameters<typeof matchLora>): ReturnType<typeof matchLora> {
  try {
    return await matchLora(...of);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(error.code, `${path}: ${error.message}`, error.remedy, { cause: error });
  }
}

/** Projections of the attention layers of a UNet: an adapter's LoRA changes all of these, and nothing else. */
const PROJECTION = /\.attn[12]\.(to_[qkv]|to_out\.0)\.weight$/;

/**
 * What is told where an adapter has no LoRA of its own: which of the others is taken for it.
 * @throws UserError adapter/incomplete if it is none of them
 */
function loraApart(
  model: ModelFiles,
  { path }: AdapterFiles,
  loras: readonly LoraRequest[],
  changes: readonly Change[],
): { readonly index: number; readonly notice: Notice } {
  const wanted = [...model.components.unet.tensors.keys()].filter((name) => PROJECTION.test(name));
  const index = loras.findIndex((_, i) => {
    const own = changes.filter(({ file }) => file === `${i}`).map(({ patch: { component, target } }) => `${component}/${target}`);
    return own.length === wanted.length && wanted.every((name) => own.includes(`unet/${name}`));
  });
  if (index >= 0) {
    const message = `${loras[index]!.path} is taken for the LoRA that belongs to the adapter ${path}.`;
    return { index, notice: { code: "adapter/lora-apart", message } };
  }
  const others =
    loras.length === 0
      ? ""
      : " None of the files of --lora is it, which changes all attention layers of the UNet and nothing else.";
  throw new UserError("adapter/incomplete", `${path}: ${NO_LORA}${others}`, LORA_APART);
}

const times = (change: Change, factor: number): Change => ({
  ...change,
  strength: change.strength * factor,
  ...(change.pair && { pair: { ...change.pair, scale: change.pair.scale * factor } }),
});

/** A change of one tensor by one file: a low-rank pair where it is one. */
interface Change extends PatchWithStrength {
  readonly pair?: LoraPair;
  /** Stands for the file among all. */
  readonly file: string;
}

/**
 * @param file stands for it among all files
 * @param factorOf how much of it a layer takes, by component and path
 */
function changesOf(
  { layers, patches }: MatchedLora,
  strength: number,
  file: string,
  factorOf: (component: string, path: string) => number = () => 1,
): Change[] {
  return [
    ...layers.map((layer): Change => {
      const { component, path, down, up, scale } = layer;
      const factor = factorOf(component, path);
      const own = strength * factor;
      const group = factor === 1 ? `${file}:${scale}` : `${file}:${scale}:${factor}`;
      return { patch: patchOf(layer), strength: own, file, pair: { down, up, scale: scale * own, group } };
    }),
    ...patches.map((patch): Change => {
      const path = patch.target.replace(/\.(weight|bias)$/, "");
      return { patch, strength: strength * factorOf(patch.component, path), file };
    }),
  ].filter((change) => change.strength !== 0);
}

function apply(model: ModelFiles, changes: readonly Change[]): Pick<CollectedLoras, "pairs" | "model" | "changes"> {
  const byTensor = new Map<string, Change[]>();
  for (const change of changes) {
    const key = `${change.patch.component}/${change.patch.target}`;
    byTensor.set(key, [...(byTensor.get(key) ?? []), change]);
  }
  const pairs = new Map<ComponentName, Map<string, LoraPair[]>>();
  const changed = new Map<ComponentName, Map<string, TensorEntry>>();
  const told = new Map<ComponentName, string>();
  for (const own of byTensor.values()) {
    const { component, target } = own[0]!.patch;
    const branches = own.flatMap(({ pair }) => pair ?? []);
    const of = <T>(all: Map<ComponentName, Map<string, T>>): Map<string, T> => {
      if (!all.has(component)) all.set(component, new Map());
      return all.get(component)!;
    };
    if (branches.length === own.length) {
      of(pairs).set(target, branches);
      continue;
    }
    const entry = changedWeight(model.components[component].tensors.get(target)!, own);
    of(changed).set(target, entry);
    told.set(component, `${told.get(component) ?? ""}${target} ${textOf(entry)}\n`);
  }
  const components = { ...model.components };
  for (const [name, tensors] of changed)
    components[name] = { ...components[name], tensors: new Map([...components[name].tensors, ...tensors]) };
  return { pairs, changes: told, model: changed.size === 0 ? model : { ...model, components } };
}

/** What is computed, and of which bytes. */
function textOf({ source }: TensorEntry): string {
  if (source.kind !== "computed") return "";
  const places = source.of.map(({ source: from }) =>
    from.kind === "file" ? `${from.file.id}@${from.file.modified}:${from.offset}` : from.kind,
  );
  return `${source.recipe} ${places.join(" ")}`;
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
