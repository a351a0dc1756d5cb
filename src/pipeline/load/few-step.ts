import { basename, dirname } from "node:path";
import type { SchedulerFields } from "../../samplers/config.ts";
import type { SamplerName } from "../../samplers/create-sampler.ts";

/** Sampling options of a model that was distilled to few steps: the defaults of requests. */
export interface FewStep {
  /** Name of the model, such as "SDXL-Lightning". */
  readonly name: string;
  readonly scheduler: SamplerName;
  readonly steps: number;
  /** Smallest and largest number of steps that the model was made for. */
  readonly stepsRange: readonly [number, number];
  readonly guidanceScale: number;
  /** Largest guidance scale that its publishers recommend. */
  readonly guidanceUpTo: number;
  readonly timestepSpacing?: SchedulerFields["timestep_spacing"];
  readonly eta?: number;
  readonly predictionType?: SchedulerFields["prediction_type"];
  /** Timesteps of its training, where the scheduler would choose others. */
  readonly timesteps?: readonly number[];
}

/** Descriptions that a model or LoRA carries of itself. */
export interface ModelSource {
  readonly kind: "model" | "lora";
  readonly path: string;
  /** `__metadata__` of a safetensors file. */
  readonly metadata: Readonly<Record<string, string>>;
  /** A diffusers folder's scheduler_config.json. */
  readonly scheduler?: unknown;
}

interface Family {
  /** Pattern for a name in {@link wordsOf} form. The pattern for LoRAs is stricter, since "lightning" may be what a LoRA draws. */
  readonly model: RegExp;
  readonly lora: RegExp;
  /** @param said number of steps in the name, if any */
  settings(words: string, said: number | undefined, kind: ModelSource["kind"]): FewStep;
}

const exactly = (steps: number): Pick<FewStep, "steps" | "stepsRange"> => ({ steps, stepsRange: [steps, steps] });
/** No guidance: in diffusers, `guidance_scale` 0 and 1 are the same. */
const UNGUIDED = { guidanceScale: 1, guidanceUpTo: 1 };

/**
 * @see SDXL-Lightning: huggingface.co/ByteDance/SDXL-Lightning (model card): Euler, trailing, guidance 0, the checkpoint's own number of
 *   steps; the checkpoint of one step predicts the picture. Without a number in the name, 8 steps: the most that was published
 * @see Hyper-SD: huggingface.co/ByteDance/Hyper-SD (model card): LoRAs of 2, 4 and 8 steps DDIM, trailing, guidance 0; of one step TCD with
 *   eta 1, for 1 to 8 steps; UNet of one step LCM at timestep 800; "CFG" LoRAs of 8 and 12 steps guidance 5 to 8
 * @see DMD2: tianweiy/DMD2 01f37a8 README.md, and huggingface.co/tianweiy/DMD2 (model card): LCM, guidance 0, timesteps 999, 749, 499, 249,
 *   or 399 alone for the model of one step
 * @see TCD: huggingface.co/h1t/TCD-SDXL-LoRA (model card): 4 steps, guidance 0, eta 0.3
 * @see LCM: diffusers docs, using-diffusers/inference_with_lcm_lora: 2 to 8 steps, guidance off or 1 to 2
 * @see SDXL-Turbo: diffusers docs, api/pipelines/stable_diffusion/sdxl_turbo: 1 to 4 steps, guidance 0, trailing, and
 *   huggingface.co/stabilityai/sdxl-turbo scheduler/scheduler_config.json: Euler a
 */
const FAMILIES: readonly Family[] = [
  {
    model: /lightning/,
    lora: /\b(sdxl|xl) lightning\b|\blightning ?\d+ ?steps?\b/,
    settings: (_, said = 8) => ({
      name: "SDXL-Lightning",
      scheduler: "euler",
      timestepSpacing: "trailing",
      ...exactly(said),
      ...UNGUIDED,
      ...(said === 1 && { predictionType: "sample" as const }),
    }),
  },
  {
    // alone it must be what a version is called, since "hyper" begins many names: hyper realistic, hyper detailed
    model:
      /\bhyper ?(sd|sdxl|xl)\b|\bhyper( (v ?\d+|vae|baked|no|fp\d+|bf\d+|pruned|safetensors|ckpt)\b|$)|\bhyper ?\d+ ?steps?\b/,
    lora: /\bhyper ?(sd|sdxl)\b/,
    settings(words, said = 8, kind) {
      const name = "Hyper-SD";
      if (/\bcfg\b/.test(words))
        return {
          name,
          scheduler: "ddim",
          timestepSpacing: "trailing",
          ...exactly(said),
          guidanceScale: 5,
          guidanceUpTo: 8,
        };
      if (said === 1 && kind === "lora") return { name, scheduler: "tcd", eta: 1, steps: 4, stepsRange: [1, 8], ...UNGUIDED };
      if (said === 1) return { name, scheduler: "lcm", timesteps: [800], ...exactly(1), ...UNGUIDED };
      return { name, scheduler: "ddim", timestepSpacing: "trailing", ...exactly(said), ...UNGUIDED };
    },
  },
  {
    model: /\bdmd( ?2)?\b/,
    lora: /\bdmd ?2\b/,
    settings: (_, said = 4) => ({
      name: "DMD2",
      scheduler: "lcm",
      ...exactly(said === 1 ? 1 : 4),
      ...UNGUIDED,
      timesteps: said === 1 ? [399] : [999, 749, 499, 249],
    }),
  },
  {
    model: /\btcd\b/,
    lora: /\btcd\b/,
    settings: () => ({ name: "TCD", scheduler: "tcd", eta: 0.3, steps: 4, stepsRange: [2, 50], ...UNGUIDED }),
  },
  {
    model: /\b(sdxl|xl)?lcm(xl)?\b/,
    lora: /\blcm\b/,
    settings: () => ({ name: "LCM", scheduler: "lcm", steps: 4, stepsRange: [2, 8], guidanceScale: 1, guidanceUpTo: 2 }),
  },
  {
    model: /turbo(?!charge)/,
    lora: /\b(sdxl|xl) turbo\b/,
    settings: () => ({
      name: "SDXL-Turbo",
      scheduler: "euler_a",
      timestepSpacing: "trailing",
      steps: 4,
      stepsRange: [1, 4],
      ...UNGUIDED,
    }),
  },
];

export interface Detected {
  readonly fewStep: FewStep;
  /** Evidence for the recognition, to follow the word "by". */
  readonly by: string;
}

/** Metadata keys for the title of a file; not the base model that it was trained on (ss_sd_model_name). */
const TITLES = ["modelspec.title", "ss_output_name", "modelspec.tags"];

/**
 * Recognises a few-step model by its metadata, its name, or its scheduler. LoRAs take precedence over the model.
 * @returns undefined for an ordinary model
 */
export function detectFewStep(sources: readonly ModelSource[]): Detected | undefined {
  const inOrder = [...sources.filter(({ kind }) => kind === "lora"), ...sources.filter(({ kind }) => kind === "model")];
  for (const source of inOrder) {
    const name = nameOf(source.path);
    for (const key of TITLES) {
      const found = byText(source.metadata[key] ?? "", source.kind);
      // the file's name may have the number of steps where the title has none
      if (found !== undefined)
        return { fewStep: byText(`${source.metadata[key]} ${name}`, source.kind) ?? found, by: `${key} in ${name}` };
    }
    const found = byText(name, source.kind);
    if (found !== undefined) return { fewStep: found, by: `the name ${name}` };
    const configured = byScheduler(source.scheduler);
    if (configured !== undefined) return { fewStep: configured, by: `the scheduler of ${name}` };
  }
  return undefined;
}

function byText(text: string, kind: ModelSource["kind"]): FewStep | undefined {
  const words = wordsOf(text);
  if (kind === "lora" && DRAWN.test(words) && !/\d ?steps?\b/.test(words)) return undefined;
  const family = FAMILIES.find((each) => each[kind].test(words));
  if (family === undefined) return undefined;
  const said = /(?<!\d)(\d+) ?steps?\b/.exec(words)?.[1];
  return family.settings(words, said === undefined || Number(said) > 50 ? undefined : Math.max(1, Number(said)), kind);
}

/** Recognises a model by its scheduler, if no other kind of model uses that. */
function byScheduler(config: unknown): FewStep | undefined {
  const name = (config as { readonly _class_name?: unknown } | undefined)?._class_name;
  if (name === "LCMScheduler") return byText("lcm", "model");
  return name === "TCDScheduler" ? byText("tcd", "model") : undefined;
}

/** Words by which the name of a LoRA says that it is about what is drawn. */
const DRAWN =
  /\b(styles?|styled|styling|aesthetics?|art|artist|painting|anime|comics?|photography|portraits?|effects?|storms?|thunder|weather|sk(y|ies)|clouds?|strikes?|bolts?|magic|powers?|swords?|wings?|dragons?|cars?|engines?|concept|characters?|mcqueen|clothes|clothing|dress|armou?r|outfits?|hair|eyes|faces?|poses?|wom[ae]n|m[ae]n|girls?|boys?)\b/;

/** Words of a name in lower case: `Hyper-SDXL_8steps` becomes "hyper sdxl 8steps", `v21TurboDPM` "v21 turbo dpm". */
const wordsOf = (text: string): string =>
  text
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1 $2")
    .replace(/[^A-Za-z0-9]+/g, " ")
    .toLowerCase();

/** File names that many repositories share, so that the folder's name is used instead. */
const COMMON = /^(pytorch_lora_weights|diffusion_pytorch_model|model|adapter_model)(\.fp16)?\.\w+$/;

/** Name of a file or folder for users: in the hub's cache with its repository, since folders there are named by commits. */
export function nameOf(path: string): string {
  const cached = /models--([^/\\]+)[/\\]snapshots[/\\][^/\\]+[/\\]?(.*)$/.exec(path);
  if (cached !== null) return [cached[1]!.replace("--", "/"), cached[2]!].filter((part) => part !== "").join("/");
  const name = basename(path);
  return COMMON.test(name) ? `${basename(dirname(path))}/${name}` : name;
}
