export const LORA_COMPONENTS = ["unet", "text_encoder", "text_encoder_2"] as const;
export type LoraComponent = (typeof LORA_COMPONENTS)[number];

/** The meaning of a tensor's name in a LoRA file. */
export interface LoraKey {
  readonly component: LoraComponent;
  /** Path of the module as the file spells it, dots as underscores, so that kohya's and diffusers' spellings are equal. */
  readonly module: string;
  /** What it is for the module, such as "down", "alpha", "hada_w1_a" or "diff_b": see {@link LORA_METHODS}. */
  readonly role: string;
}

const ROLES: readonly (readonly [RegExp, (name: string) => string])[] = [
  [/^(.+)\.lora_(down|up|mid)\.weight$/, (part) => part],
  [/^(.+)\.lora_([AB])(?:\.[^.]+)?\.weight$/, (part) => (part === "A" ? "down" : "up")], // PEFT; the optional middle part is an adapter's name
  [/^(.+)[._]lora\.(down|up)\.weight$/, (part) => part], // to_q.lora.down, processor.to_q_lora.down
  [/^(.+)\.lora_linear_layer\.(down|up)\.weight$/, (part) => part],
  [/^(.+)\.(?:lora_up|lora_B(?:\.[^.]+)?|lora\.up)\.(bias)$/, (part) => part],
  [/^(.+)\.(dora_scale)$/, () => "magnitude"],
  [/^(.+)\.(lora_magnitude_vector)(?:\.[^.]+)?(?:\.weight)?$/, () => "magnitude_rows"],
  [/^(.+)\.(alpha|rescale|on_input)$/, (part) => part],
  [/^(.+)\.(hada_[wt][12](?:_[ab])?|lokr_(?:w[12](?:_[ab])?|t2)|oft_blocks)(?:\.weight)?$/, (part) => part],
  [/^(.+)\.(a1|a2|b1|b2|bm)\.weight$/, (part) => part],
  [/^(.+)\.(oft_R)(?:\.[^.]+)?\.weight$/, (part) => part],
  [/^(.+)\.(boft_[Rs])(?:\.[^.]+)?$/, (part) => part],
  [/^(.+)\.(ia3_l)(?:\.[^.]+)?$/, (part) => part],
  [/^(.+)\.(diff|w_norm)$/, () => "diff"],
  [/^(.+)\.(diff_b|b_norm)$/, () => "diff_b"],
  [/^((?:lora|lycoris)_.+)\.(weight)$/, () => "ia3"],
  [
    /^(.+)\.(set_weight|reshape_weight|oft_diag|oft_(?:r|embedding_R)(?:\.[^.]+)?(?:\.weight)?|bias_(?:values|indices|size))$/,
    (part) => part,
  ],
];

const PREFIXES: readonly (readonly [string, LoraComponent])[] = [
  ["lora_unet", "unet"],
  ["oft_unet", "unet"], // kohya's OFT
  ["lora_te1", "text_encoder"],
  ["lora_te2", "text_encoder_2"],
  ["lora_te", "text_encoder"],
  ["lycoris", "unet"],
  ["unet", "unet"],
  ["model.diffusion_model", "unet"],
  ["diffusion_model", "unet"],
  ["text_encoders.clip_l", "text_encoder"],
  ["text_encoders.clip_g", "text_encoder_2"],
  ["clip_l", "text_encoder"],
  ["clip_g", "text_encoder_2"],
  ["text_encoder_2", "text_encoder_2"],
  ["text_encoder_1", "text_encoder"],
  ["text_encoder", "text_encoder"],
];

/**
 * Parses the names of kohya (`lora_unet_…`), LyCORIS (`lycoris_…`), PEFT (`unet.….lora_A.weight`, `base_model.model.…`), old diffusers
 * (`….processor.to_q_lora.down.weight`, as in PhotoMaker's adapters), dotted diffusers (`….to_q.lora.down.weight`), OneTrainer
 * (`lora_te1.…`, `clip_l.…`) and node programs (`diffusion_model.…`, `text_encoders.clip_l.transformer.…`), with the parts of each of
 * {@link LORA_METHODS}. Undefined if the name is none of these.
 */
export function parseLoraKey(key: string): LoraKey | undefined {
  for (const [pattern, roleOf] of ROLES) {
    const [, stem, part] = pattern.exec(key) ?? [];
    if (stem === undefined || part === undefined) continue;
    const path = stem
      .replace(/^lora_weights\./, "")
      .replace(/^(transformer\.)?base_model\.model\./, "")
      .replace(".base_model.model.", ".");
    const [prefix, component] = PREFIXES.find(([start]) => path.startsWith(start) && /^[._]/.test(path.slice(start.length))) ?? [
      "",
      /^text_model[._]/.test(path) ? ("text_encoder" as const) : ("unet" as const),
    ];
    const inside = prefix === "" ? path : path.slice(prefix.length + 1);
    const module = component === "unet" ? unetModule(inside) : textModule(inside);
    return { component, module: module.replaceAll(".", "_"), role: roleOf(part) };
  }
  return undefined;
}

const unetModule = (path: string): string => path.replace(".processor.", ".").replace(/(\battn[12]\.to_out)$/, "$1.0");

/** Renames the projections of text encoders, which old diffusers named like the UNet's, and leaves out what node programs put in front. */
const textModule = (path: string): string =>
  path
    .replace(/^transformer[._](?=text_model[._]|text_projection)/, "")
    .replace(/\.to_([qkv])$/, ".$1_proj")
    .replace(/\.to_out(\.0)?$/, ".out_proj");

/** Roles that no method here has. */
const UNSUPPORTED: readonly (readonly [RegExp, string])[] = [
  [/^set_weight$/, "replaced weights (set_weight)"],
  [/^reshape_weight$/, "weights of another shape (reshape_weight)"],
  [/^oft_(diag|r)/, "OFT as early PEFT wrote it"],
  [/^oft_embedding_R/, "OFT of embeddings"],
  [/^bias_(values|indices|size)$/, "sparse biases"],
];

/** The method that a role belongs to, in words, if there is none of it here. */
export const unsupportedRole = (role: string): string | undefined => UNSUPPORTED.find(([pattern]) => pattern.test(role))?.[1];
