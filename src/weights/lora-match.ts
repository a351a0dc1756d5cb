import { UserError } from "../core/errors.ts";
import { LORA_COMPONENTS, type LoraComponent, parseLoraKey, unsupportedMethod } from "./lora-key.ts";
import { readManyFloats, readValues } from "./read-tensor.ts";
import { rename } from "./rename.ts";
import type { TensorEntry, Tensors } from "./tensor-entry.ts";
import { layoutFromDiffusers, unetPaths } from "./unet-names.ts";

/** A low-rank update of one module: W becomes W + strength · scale · up · down. */
export interface LoraLayer {
  readonly component: LoraComponent;
  /** Path of the module in the model, such as `down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q` */
  readonly path: string;
  /** [rank, in] or, for a convolution, [rank, in, k, k]; trailing sizes of 1 may be present or missing for any module. */
  readonly down: TensorEntry;
  /** [out, rank], with or without trailing sizes of 1. */
  readonly up: TensorEntry;
  /** alpha / rank; 1 when the file has no alpha */
  readonly scale: number;
}

export interface MatchedLora {
  readonly layers: readonly LoraLayer[];
  /** Names of tensors that belong to no module of the model. */
  readonly unmatched: readonly string[];
}

/** The model's tensors by diffusers' names; only their shapes are used. */
export type LoraTargets = { readonly [C in LoraComponent]?: ReadonlyMap<string, { readonly shape: readonly number[] }> };

/**
 * Finds the model's module for each layer of a LoRA. Reads only the alphas.
 *
 * @param metadata the file's `__metadata__`: newer diffusers stores PEFT's alpha there
 * @throws UserError lora/unsupported (LoHa, LoKr, DoRA and others), lora/incomplete, lora/duplicate, lora/metadata,
 *   lora/wrong-architecture (shapes differ, or nothing matches)
 */
export async function matchLora(
  tensors: Tensors,
  targets: LoraTargets,
  metadata: Readonly<Record<string, string>> = {},
): Promise<MatchedLora> {
  for (const key of tensors.keys()) {
    const method = unsupportedMethod(key);
    if (method !== undefined)
      throw new UserError(
        "lora/unsupported",
        `This LoRA uses ${method} ("${key}"), which is not supported.`,
        "Use a plain LoRA.",
      );
  }

  const modules = moduleIndex(targets);
  const found = new Map<string, Found>();
  const unmatched: string[] = [];
  for (const entry of tensors.values()) {
    const key = parseLoraKey(entry.name);
    const path = key && modules[key.component]?.get(key.module);
    if (key === undefined || path === undefined) {
      unmatched.push(entry.name);
      continue;
    }
    const id = `${key.component}/${path}`;
    const group = found.get(id) ?? { component: key.component, path };
    if (group[key.role] !== undefined)
      throw new UserError(
        "lora/duplicate",
        `"${entry.name}" and "${group[key.role]!.name}" are for the same weight.`,
        "Use a file that has each layer once.",
      );
    group[key.role] = entry;
    found.set(id, group);
  }

  const pairs: (Found & { down: TensorEntry; up: TensorEntry })[] = [];
  for (const group of found.values()) {
    const { down, up, alpha } = group;
    if (down && up) pairs.push({ ...group, down, up });
    else if (down || up)
      throw new UserError("lora/incomplete", `"${(down ?? up)!.name}" has no counterpart.`, "Download the LoRA again.");
    else unmatched.push(alpha!.name);
  }
  refuseMisfits(pairs, targets, unmatched);

  const alphas = await readAlphas(pairs, metadata);
  const layers = pairs.map(({ component, path, down, up }, i): LoraLayer => ({ component, path, down, up, scale: alphas[i]! }));
  return { layers, unmatched };
}

interface Found {
  readonly component: LoraComponent;
  readonly path: string;
  down?: TensorEntry;
  up?: TensorEntry;
  alpha?: TensorEntry;
}

/** The model's modules by every spelling that a file may use, dots as underscores. */
function moduleIndex(targets: LoraTargets): { readonly [C in LoraComponent]?: ReadonlyMap<string, string> } {
  const out: { [C in LoraComponent]?: Map<string, string> } = {};
  for (const component of LORA_COMPONENTS) {
    const target = targets[component];
    if (target === undefined) continue;
    const index = new Map<string, string>();
    const toOriginal = component === "unet" ? unetPaths(layoutFromDiffusers(target.keys())) : [];
    const original = new Map(toOriginal.map(([from, to]) => [to, from]));
    for (const [name, { shape }] of target) {
      if (!name.endsWith(".weight") || shape.length < 2) continue;
      const path = name.slice(0, -".weight".length);
      for (const spelling of [path, rename(path, original)])
        if (spelling !== undefined) index.set(spelling.replaceAll(".", "_"), path);
    }
    out[component] = index;
  }
  return out;
}

function refuseMisfits(
  pairs: readonly Required<Omit<Found, "alpha">>[],
  targets: LoraTargets,
  unmatched: readonly string[],
): void {
  const remedy = "Use a LoRA made for SDXL.";
  for (const { component, path, down, up } of pairs) {
    const shape = targets[component]!.get(`${path}.weight`)!.shape;
    const made = [up.shape[0], ...trimOnes(down.shape.slice(1), 1)];
    if (up.shape[1] === down.shape[0] && trimOnes(up.shape, 2).length === 2 && `${made}` === `${trimOnes(shape, 2)}`) continue;
    const hint = path.includes("attn2.to_") && made[1] !== shape[1] ? architectureOf(made[1]) : "";
    throw new UserError(
      "lora/wrong-architecture",
      `The LoRA is made for another architecture${hint}: ${path} of the ${component} is [${shape}], but "${down.name}" [${down.shape}] and "${up.name}" [${up.shape}] change [${made}].`,
      remedy,
    );
  }
  if (pairs.length === 0)
    throw new UserError(
      "lora/wrong-architecture",
      unmatched.length === 0
        ? "The LoRA has no tensors."
        : `None of the ${unmatched.length} tensors of the LoRA belongs to this model; one is "${unmatched[0]}".`,
      remedy,
    );
}

const architectureOf = (width: number | undefined): string =>
  width === 768
    ? ", Stable Diffusion 1.x"
    : width === 1024
      ? ", Stable Diffusion 2.x"
      : width === 2048
        ? ", SDXL at full size"
        : "";

/** A shape without trailing sizes of 1, `keep` sizes at least: a 1x1 convolution is the same as a linear layer. */
function trimOnes(shape: readonly number[], keep: number): readonly number[] {
  return shape.length > keep && shape.slice(keep).every((size) => size === 1) ? shape.slice(0, keep) : shape;
}

/** Scale of each pair: alpha / rank. */
async function readAlphas(
  pairs: readonly (Found & { down: TensorEntry })[],
  metadata: Readonly<Record<string, string>>,
): Promise<number[]> {
  const config = peftConfig(metadata);
  const floats = pairs.flatMap(({ alpha }) => (alpha && /^B?F/.test(alpha.dtype) ? [alpha] : []));
  const values = new Map((await readManyFloats(floats)).map((value, i) => [floats[i]!, value[0]!]));
  const out: number[] = [];
  for (const { component, path, down, alpha } of pairs) {
    const rank = down.shape[0]!;
    if (alpha === undefined) out.push(config(component, path, rank));
    else out.push((values.get(alpha) ?? Number((await readValues(alpha)).values[0])) / rank);
  }
  return out;
}

/**
 * Scales given in a PEFT file's metadata; 1 where it gives none.
 * @see diffusers src/diffusers/loaders/lora_base.py: LORA_ADAPTER_METADATA_KEY; peft LoraConfig
 */
function peftConfig(
  metadata: Readonly<Record<string, string>>,
): (component: LoraComponent, path: string, rank: number) => number {
  const text = metadata.lora_adapter_metadata;
  if (text === undefined) return () => 1;
  let config: Record<string, unknown>;
  try {
    config = JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw new UserError("lora/metadata", "The LoRA's lora_adapter_metadata is not JSON.", "Write the LoRA again.", { cause });
  }
  return (component, path, rank) => {
    const patterns = config[`${component}.alpha_pattern`] as Record<string, number> | undefined;
    const ending = Object.entries(patterns ?? {}).find(([end]) => path === end || path.endsWith(`.${end}`))?.[1];
    const alpha = ending ?? config[`${component}.lora_alpha`];
    if (typeof alpha !== "number") return 1;
    return config[`${component}.use_rslora`] === true ? alpha / Math.sqrt(rank) : alpha / rank;
  };
}
