import { UserError } from "../core/errors.ts";
import { LORA_COMPONENTS, type LoraComponent, parseLoraKey, unsupportedRole } from "./lora-key.ts";
import type { LoraMethod } from "./lora-methods/method.ts";
import { OFT_TERMS } from "./lora-methods/peft-oft.ts";
import { LORA_METHODS, magnitudeFits } from "./lora-methods.ts";
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

/** A change of a weight or a bias that is no low-rank branch beside a layer: the changed numbers are computed from the model's. */
export interface LoraPatch {
  readonly component: LoraComponent;
  /** Name of the changed tensor, such as `conv_in.bias` */
  readonly target: string;
  readonly method: LoraMethod;
  /** By the names of the method's parts. */
  readonly parts: Readonly<Record<string, TensorEntry>>;
  /** Undefined when the file has none. */
  readonly alpha: number | undefined;
  /** DoRA's lengths of rows or columns. */
  readonly magnitude?: { readonly entry: TensorEntry /** always of rows */; readonly rows: boolean };
}

export interface MatchedLora {
  readonly layers: readonly LoraLayer[];
  readonly patches: readonly LoraPatch[];
  /** Names of tensors that belong to no module of the model. */
  readonly unmatched: readonly string[];
}

/** The same change as a low-rank layer's, for a weight that other patches change too. */
export const patchOf = ({ component, path, down, up, scale }: LoraLayer): LoraPatch => ({
  component,
  target: `${path}.weight`,
  method: LORA_METHODS.LORA,
  parts: { down, up },
  alpha: scale * down.shape[0]!,
});

/** The model's tensors by diffusers' names; only their shapes are used. */
export type LoraTargets = { readonly [C in LoraComponent]?: ReadonlyMap<string, { readonly shape: readonly number[] }> };

/**
 * Finds the model's module for each layer of a LoRA or one of its kin. Reads only the alphas.
 *
 * @param metadata the file's `__metadata__`: newer diffusers stores PEFT's alpha there
 * @throws UserError lora/unsupported (methods that are not known), lora/incomplete, lora/duplicate, lora/metadata, lora/alpha,
 *   lora/wrong-architecture (shapes differ, or nothing matches)
 */
export async function matchLora(
  tensors: Tensors,
  targets: LoraTargets,
  metadata: Readonly<Record<string, string>> = {},
): Promise<MatchedLora> {
  const modules = moduleIndex(targets);
  const found = new Map<string, Found>();
  const unmatched: string[] = [];
  let unknown: string | undefined;
  for (const entry of tensors.values()) {
    const key = parseLoraKey(entry.name);
    const path = key && modules[key.component]?.get(key.module);
    const method = key && unsupportedRole(key.role);
    if (method !== undefined) {
      unknown = `This LoRA uses ${method} ("${entry.name}"), which is not supported.`;
      if (path !== undefined) throw new UserError("lora/unsupported", unknown, UNSUPPORTED_REMEDY);
    }
    if (key === undefined || path === undefined) {
      unmatched.push(entry.name);
      continue;
    }
    const id = `${key.component}/${path}`;
    const group = found.get(id) ?? { component: key.component, path, roles: new Map() };
    const before = group.roles.get(key.role);
    if (before !== undefined)
      throw new UserError(
        "lora/duplicate",
        `"${entry.name}" and "${before.name}" are for the same weight.`,
        "Use a file that has each layer once.",
      );
    group.roles.set(key.role, entry);
    found.set(id, group);
  }

  const config = peftConfig(metadata);
  const alphas = await readAlphas([...found.values()].flatMap(({ roles }) => roles.get("alpha") ?? []));
  const layers: LoraLayer[] = [];
  const patches: LoraPatch[] = [];
  for (const group of found.values()) {
    const { component, path, roles } = group;
    const shapes = targets[component]!;
    await nameInputs(roles);
    nameTurns(component, roles, config);
    const alpha = roles.has("alpha") ? alphas.get(roles.get("alpha")!)! : undefined;
    const methods = WEIGHT_METHODS.filter((one) => one.parts.some((part) => roles.has(part)));
    const [method] = methods;
    if (methods.length > 1)
      throw new UserError(
        "lora/duplicate",
        `${path} of the ${component} is changed by ${methods.map(({ name }) => name).join(" and ")} at once.`,
        "Use a file that has each layer once.",
      );
    const magnitudes = ["magnitude", "magnitude_rows"].flatMap((role) => roles.get(role) ?? []);
    if (method === undefined && !BIASES.some((role) => roles.has(role))) {
      if (magnitudes.length > 0) throw incomplete(magnitudes[0]!, "");
      unmatched.push(...[...roles.values()].map(({ name }) => name));
      continue;
    }
    if (method !== undefined) {
      const parts = partsOf(method, roles);
      refuseMisfit(method, parts, group, shapes.get(`${path}.weight`)!.shape);
      const [entry] = magnitudes;
      if (entry !== undefined) refuseMagnitude(entry, method, group, shapes.get(`${path}.weight`)!.shape);
      const { down, up } = parts;
      const rank = method.rank?.(shapesOf(parts));
      const scale = alpha === undefined && rank !== undefined ? config.scale(component, path, rank) : undefined;
      if (method === LORA_METHODS.LORA && parts.mid === undefined && entry === undefined && !EMBEDDING.test(path))
        layers.push({ component, path, down: down!, up: up!, scale: scale ?? alpha! / rank! });
      else
        patches.push({
          ...{ component, target: `${path}.weight`, method, parts },
          alpha: scale === undefined ? alpha : scale * rank!,
          ...(entry && { magnitude: { entry, rows: roles.has("magnitude_rows") } }),
        });
    }
    for (const role of BIASES) {
      const entry = roles.get(role);
      if (entry === undefined) continue;
      const down = roles.get("down");
      const [bias, parts] =
        role === "diff_b" ? [LORA_METHODS.FULL, { diff: entry }] : [LORA_METHODS.BIAS, { bias: entry, ...(down && { down }) }];
      const target = `${path}.bias`;
      const shape = shapes.get(target)?.shape;
      if (shape === undefined || !bias.fits(shapesOf(parts), shape))
        throw new UserError(
          "lora/wrong-architecture",
          `"${entry.name}" [${entry.shape}] changes the bias of ${path} of the ${component}, which ${shape === undefined ? "has none" : `is [${shape}]`}.`,
          REMEDY,
        );
      const scale = alpha === undefined && down !== undefined ? config.scale(component, path, down.shape[0]!) : undefined;
      patches.push({ component, target, method: bias, parts, alpha: scale === undefined ? alpha : scale * down!.shape[0]! });
    }
  }
  if (layers.length === 0 && patches.length === 0) {
    if (unknown !== undefined) throw new UserError("lora/unsupported", unknown, UNSUPPORTED_REMEDY);
    throw new UserError(
      "lora/wrong-architecture",
      unmatched.length === 0
        ? "The LoRA has no tensors."
        : `None of the ${unmatched.length} tensors of the LoRA belongs to this model; one is "${unmatched[0]}".`,
      REMEDY,
    );
  }
  return { layers, patches, unmatched };
}

const REMEDY = "Use a LoRA made for SDXL.";
const UNSUPPORTED_REMEDY = "Use a LoRA, LoHa, LoKr, DoRA, OFT, BOFT, GLoRA, (IA)3, or full differences of weights.";
const { BIAS: _, ...OF_WEIGHTS } = LORA_METHODS;
const WEIGHT_METHODS: readonly LoraMethod[] = Object.values(OF_WEIGHTS);
/** Roles that change a bias. */
const BIASES = ["diff_b", "bias"] as const;
/** Layers that take rows of their weight, beside which there can be no branch. */
const EMBEDDING = /(^|\.)(token|position)_embedding$/;

interface Found {
  readonly component: LoraComponent;
  readonly path: string;
  readonly roles: Map<string, TensorEntry>;
}

const partsOf = ({ parts }: LoraMethod, roles: ReadonlyMap<string, TensorEntry>): Record<string, TensorEntry> =>
  Object.fromEntries(parts.flatMap((part) => (roles.has(part) ? [[part, roles.get(part)!]] : [])));
const shapesOf = (parts: Readonly<Record<string, TensorEntry>>) =>
  Object.fromEntries(Object.entries(parts).map(([name, { shape }]) => [name, shape]));

/** (IA)3 of LyCORIS says in a tensor whether its vector is for rows or columns; without it, the vector is something else. */
async function nameInputs(roles: Map<string, TensorEntry>): Promise<void> {
  const [vector, onInput] = [roles.get("ia3"), roles.get("on_input")];
  if (vector === undefined || onInput === undefined) return;
  roles.delete("ia3");
  roles.delete("on_input");
  roles.set(Number((await readValues(onInput)).values[0]) === 0 ? "ia3_rows" : "ia3_columns", vector);
}

/**
 * OFT of PEFT is by a series unless its config says that it is exact.
 * @throws UserError lora/unsupported for a series of another length
 */
function nameTurns(component: LoraComponent, roles: Map<string, TensorEntry>, { told }: PeftConfig): void {
  const triangles = roles.get("oft_R");
  if (triangles === undefined) return;
  if (told(component, "use_cayley_neumann") === false) {
    roles.delete("oft_R");
    roles.set("oft_R_exact", triangles);
    return;
  }
  const terms = told(component, "num_cayley_neumann_terms") ?? OFT_TERMS;
  if (terms !== OFT_TERMS)
    throw new UserError(
      "lora/unsupported",
      `This LoRA uses OFT with ${String(terms)} terms of its series ("${triangles.name}"), which is not supported.`,
      UNSUPPORTED_REMEDY,
    );
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
      if (!name.endsWith(".weight") || shape.length < 1) continue;
      const path = name.slice(0, -".weight".length);
      for (const spelling of [path, rename(path, original)])
        if (spelling !== undefined) index.set(spelling.replaceAll(".", "_"), path);
    }
    out[component] = index;
  }
  return out;
}

const incomplete = ({ name }: TensorEntry, lacking: string): UserError =>
  new UserError("lora/incomplete", `"${name}" has no counterpart${lacking}.`, "Download the LoRA again.");

function refuseMisfit(
  method: LoraMethod,
  parts: Readonly<Record<string, TensorEntry>>,
  { component, path }: Found,
  shape: readonly number[],
): void {
  const shapes = shapesOf(parts);
  const entries = Object.values(parts);
  const missing = method.missing(shapes);
  if (missing.length > 0) throw incomplete(entries[0]!, `: ${missing.join(", ")} of ${path}`);
  if (method.fits(shapes, shape)) return;
  const { down, up } = parts;
  const made = up && down && [up.shape[0], ...trimOnes(down.shape.slice(1), 1)];
  const hint = path.includes("attn2.to_") && made && made[1] !== shape[1] ? architectureOf(made[1]) : "";
  const files = entries.map((entry) => `"${entry.name}" [${entry.shape}]`);
  throw new UserError(
    "lora/wrong-architecture",
    `The LoRA is made for another architecture${hint}: ${path} of the ${component} is [${shape}], but ${listed(files)}${made && parts.mid === undefined ? ` change [${made}]` : ` do not fit it (${method.name})`}.`,
    REMEDY,
  );
}

function refuseMagnitude(entry: TensorEntry, method: LoraMethod, { component, path }: Found, shape: readonly number[]): void {
  if (method.difference !== undefined && magnitudeFits(entry.shape, shape)) return;
  throw new UserError(
    "lora/wrong-architecture",
    `"${entry.name}" [${entry.shape}] is no magnitude (DoRA) for ${method.name} of ${path} of the ${component}, which is [${shape}].`,
    REMEDY,
  );
}

const listed = (names: readonly string[]): string =>
  names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;

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

/** @throws UserError lora/alpha */
async function readAlphas(entries: readonly TensorEntry[]): Promise<ReadonlyMap<TensorEntry, number>> {
  const floats = entries.filter(({ dtype }) => /^B?F/.test(dtype));
  const values = new Map((await readManyFloats(floats)).map((value, i) => [floats[i]!, value]));
  const out = new Map<TensorEntry, number>();
  for (const entry of entries) {
    const numbers = values.get(entry) ?? (await readValues(entry)).values;
    const alpha = Number(numbers[0]);
    if (numbers.length !== 1 || !Number.isFinite(alpha))
      throw new UserError(
        "lora/alpha",
        `"${entry.name}" [${entry.shape}] is to be one number, and ${numbers.length === 1 ? `is ${alpha}` : `holds ${numbers.length}`}.`,
        "Download the LoRA again.",
      );
    out.set(entry, alpha);
  }
  return out;
}

/** A PEFT file's metadata. */
interface PeftConfig {
  /** alpha / rank, or 1 where nothing is given. */
  scale(component: LoraComponent, path: string, rank: number): number;
  /** A field of the config, undefined where it has none. */
  told(component: LoraComponent, field: string): unknown;
}

/**
 * @throws UserError lora/metadata
 * @see diffusers src/diffusers/loaders/lora_base.py: LORA_ADAPTER_METADATA_KEY; peft LoraConfig
 */
function peftConfig(metadata: Readonly<Record<string, string>>): PeftConfig {
  let config: Record<string, unknown>;
  try {
    config = (JSON.parse(metadata.lora_adapter_metadata ?? "{}") ?? {}) as Record<string, unknown>;
  } catch (cause) {
    throw new UserError("lora/metadata", "The LoRA's lora_adapter_metadata is not JSON.", "Write the LoRA again.", { cause });
  }
  const scale: PeftConfig["scale"] = (component, path, rank) => {
    const patterns = config[`${component}.alpha_pattern`] as Record<string, number> | undefined;
    const ending = Object.entries(patterns ?? {}).find(([end]) => path === end || path.endsWith(`.${end}`))?.[1];
    const alpha = ending ?? config[`${component}.lora_alpha`];
    if (typeof alpha !== "number") return 1;
    return config[`${component}.use_rslora`] === true ? alpha / Math.sqrt(rank) : alpha / rank;
  };
  return { scale, told: (component, field) => config[`${component}.${field}`] };
}
