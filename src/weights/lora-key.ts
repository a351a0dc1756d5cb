export const LORA_COMPONENTS = ["unet", "text_encoder", "text_encoder_2"] as const;
export type LoraComponent = (typeof LORA_COMPONENTS)[number];

/** The meaning of a tensor's name in a LoRA file. */
export interface LoraKey {
  readonly component: LoraComponent;
  /** Path of the module as the file spells it, dots as underscores, so that kohya's and diffusers' spellings are equal. */
  readonly module: string;
  readonly role: "down" | "up" | "alpha";
}

const ROLES: readonly (readonly [RegExp, (name: string) => LoraKey["role"]])[] = [
  [/^(.+)\.lora_(down|up)\.weight$/, (part) => (part === "down" ? "down" : "up")],
  [/^(.+)\.lora_([AB])(?:\.[^.]+)?\.weight$/, (part) => (part === "A" ? "down" : "up")], // PEFT; the optional middle part is an adapter's name
  [/^(.+)[._]lora\.(down|up)\.weight$/, (part) => (part === "down" ? "down" : "up")], // to_q.lora.down, processor.to_q_lora.down
  [/^(.+)\.lora_linear_layer\.(down|up)\.weight$/, (part) => (part === "down" ? "down" : "up")],
  [/^(.+)\.(alpha)$/, () => "alpha"],
];

const PREFIXES: readonly (readonly [string, LoraComponent])[] = [
  ["lora_unet_", "unet"],
  ["lora_te1_", "text_encoder"],
  ["lora_te2_", "text_encoder_2"],
  ["lora_te_", "text_encoder"],
  ["unet.", "unet"],
  ["model.diffusion_model.", "unet"],
  ["diffusion_model.", "unet"],
  ["text_encoder_2.", "text_encoder_2"],
  ["text_encoder.", "text_encoder"],
  ["text_model.", "text_encoder"],
];

/**
 * Parses the names of kohya (`lora_unet_…`), PEFT (`unet.….lora_A.weight`, `base_model.model.…`), old diffusers
 * (`….processor.to_q_lora.down.weight`, as in PhotoMaker's adapters) and dotted diffusers (`….to_q.lora.down.weight`).
 * Undefined if the name is none of these.
 */
export function parseLoraKey(key: string): LoraKey | undefined {
  for (const [pattern, roleOf] of ROLES) {
    const [, stem, part] = pattern.exec(key) ?? [];
    if (stem === undefined || part === undefined) continue;
    const path = stem.replace("base_model.model.", "");
    const [prefix, component] = PREFIXES.find(([start]) => path.startsWith(start)) ?? ["", "unet" as const];
    const inside = prefix === "text_model." ? path : path.slice(prefix.length);
    const module = component === "unet" ? unetModule(inside) : textModule(inside);
    return { component, module: module.replaceAll(".", "_"), role: roleOf(part) };
  }
  return undefined;
}

const unetModule = (path: string): string => path.replace(".processor.", ".").replace(/(\battn[12]\.to_out)$/, "$1.0");

/** Renames the projections of text encoders, which old diffusers named like the UNet's. */
const textModule = (path: string): string => path.replace(/\.to_([qkv])$/, ".$1_proj").replace(/\.to_out(\.0)?$/, ".out_proj");

const UNSUPPORTED: readonly (readonly [RegExp, string])[] = [
  [/\.hada_/, "LoHa"],
  [/\.lokr_/, "LoKr"],
  [/\.dora_scale$|\.lora_magnitude_vector\b/, "DoRA"],
  [/\.lora_mid\./, "LoCon in Tucker form"],
  [/\.oft_/, "OFT"],
  [/\.(a1|a2|b1|b2|bm)\.weight$/, "GLoRA"],
  [/\.(diff|diff_b|w_norm|b_norm)$/, "full differences of weights"],
  [/\.lora_B(\.[^.]+)?\.bias$|\.lora_up\.bias$/, "LoRA with biases"],
];

/** The method that a tensor belongs to, in words, if it is more than up times down; undefined for plain LoRA. */
export const unsupportedMethod = (key: string): string | undefined => UNSUPPORTED.find(([pattern]) => pattern.test(key))?.[1];
