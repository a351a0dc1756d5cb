import type { GenerateInput, LoadInput } from "../../contract/request.ts";
import { UserError } from "../../core/errors.ts";
import { asset } from "../asset.ts";

/** Models of the hub that are known to go together, or the one that is included. */
export interface ModelSet {
  readonly name: string;
  /** What it is good for. */
  readonly goodFor: string;
  /** What to load. */
  readonly load: LoadInput;
  /** How to sample with it, where flags say nothing. */
  readonly request: GenerateInputPart;
  /** What is downloaded: names on the hub, with approximate bytes. */
  readonly parts: readonly ModelPart[];
  /** Of the weights, as their publishers state it. */
  readonly licence: string;
  /** What one picture takes; undefined for seconds at most. */
  readonly picture?: PictureWork;
}

type GenerateInputPart = Partial<Pick<GenerateInput, "numInferenceSteps" | "guidanceScale" | "scheduler" | "decoder">>;

export interface ModelPart {
  /** `org/name` or `org/name:file`. */
  readonly id: string;
  readonly bytes: number;
}

export interface PictureWork {
  readonly steps: number;
  /** Latents at each step: 2 with guidance. */
  readonly rows: number;
  readonly tinyVae: boolean;
}

const REALISTIC = { id: "SG161222/RealVisXL_V4.0", bytes: 6.94e9 };
const BASE = { id: "stabilityai/stable-diffusion-xl-base-1.0", bytes: 6.94e9 };
const V1 = { id: "TencentARC/PhotoMaker:photomaker-v1.bin", bytes: 0.94e9 };
const V2 = { id: "TencentARC/PhotoMaker-V2:photomaker-v2.bin", bytes: 1.8e9 };
const LIGHTNING = { id: "ByteDance/SDXL-Lightning:sdxl_lightning_4step_lora.safetensors", bytes: 0.39e9 };
const LCM = { id: "latent-consistency/lcm-lora-sdxl:pytorch_lora_weights.safetensors", bytes: 0.39e9 };
const TINY = { id: "madebyollin/taesdxl", bytes: 0.01e9 };

const RAIL = "CreativeML Open RAIL++-M";
const GUIDED = { steps: 50, rows: 2, tinyVae: false };
const FEW_STEPS = { steps: 4, rows: 1, tinyVae: true };
const OPEN = `${RAIL}; PhotoMaker Apache 2.0; tiny VAE MIT`;

function setOf(
  parts: { readonly model: ModelPart; readonly adapter: ModelPart; readonly lora?: ModelPart },
  rest: Omit<ModelSet, "load" | "parts">,
): ModelSet {
  const { model, adapter, lora } = parts;
  return {
    ...rest,
    load: {
      model: model.id,
      adapter: adapter.id,
      tinyVae: TINY.id,
      ...(lora !== undefined && { loras: [{ path: lora.id }] }),
    },
    parts: [model, adapter, ...(lora === undefined ? [] : [lora]), TINY],
  };
}

/** Variant of the weights that is downloaded where a repository has it: half the bytes. */
export const VARIANT = "fp16";

/** The sets that `photomaker setup` offers, the recommended one first. */
export const MODEL_SETS: readonly ModelSet[] = [
  setOf(
    { model: REALISTIC, adapter: V1, lora: LIGHTNING },
    {
      name: "quick",
      goodFor: "photographs of a person in 4 steps: the one to begin with on a processor",
      request: { decoder: "tiny-vae" },
      licence: OPEN,
      picture: FEW_STEPS,
    },
  ),
  setOf(
    { model: REALISTIC, adapter: V1 },
    {
      name: "realistic",
      goodFor: "photographs of a person, as the official demo makes them: 50 steps",
      request: {},
      licence: OPEN,
      picture: GUIDED,
    },
  ),
  setOf(
    { model: BASE, adapter: V1 },
    {
      name: "all-round",
      goodFor: "paintings, drawings and styles, on SDXL as it was published: 50 steps",
      request: {},
      licence: OPEN,
      picture: GUIDED,
    },
  ),
  setOf(
    { model: BASE, adapter: V1, lora: LCM },
    {
      name: "all-round-quick",
      goodFor: "paintings, drawings and styles in 4 steps",
      request: { decoder: "tiny-vae" },
      licence: OPEN,
      picture: FEW_STEPS,
    },
  ),
  setOf(
    { model: REALISTIC, adapter: V2 },
    {
      name: "realistic-v2",
      goodFor: "more likeness, for those who have a pack of InsightFace (--faces) or face embeddings (--id-embeds): 50 steps",
      request: {},
      licence: `${RAIL}; PhotoMaker Apache 2.0; InsightFace's models for research only; tiny VAE MIT`,
      picture: GUIDED,
    },
  ),
  {
    name: "miniature",
    goodFor: "trying it: drawn people on 128x128 pixels; it is included",
    load: { model: asset("miniature"), adapter: asset("miniature/photomaker-v1.safetensors") },
    request: { numInferenceSteps: 25, guidanceScale: 3, scheduler: "euler_a" },
    parts: [],
    licence: "MIT",
  },
];

/** The set that is taken where nobody chooses. */
export const RECOMMENDED = MODEL_SETS[0]!;

/** @throws UserError setup/unknown-set */
export function setNamed(name: string): ModelSet {
  const found = MODEL_SETS.find((set) => set.name === name.toLowerCase());
  if (found !== undefined) return found;
  throw new UserError(
    "setup/unknown-set",
    `There is no set "${name}".`,
    `The sets are ${MODEL_SETS.map((set) => set.name).join(", ")}: "photomaker setup --list" describes them.`,
  );
}

/** Approximate bytes of a set's download. */
export const bytesOf = ({ parts }: ModelSet): number => parts.reduce((sum, { bytes }) => sum + bytes, 0);

/** Multiplications and additions of one evaluation of SDXL's UNet on one latent of 1024x1024 pixels, 2 for each pair. */
const EVALUATION = 5.98e12;
/** Decoding a picture of that size beside an evaluation, as docs/performance.md measured it; for the tiny VAE estimated from its layers. */
const [DECODING, TINY_DECODING] = [2.6, 0.4];
/** Share of the speed of plain products that a whole evaluation reaches, with attention and norms between them. */
const REACHED = 0.85;
/** Seconds of loading and encoding on two cores. */
const AROUND = 3;

/**
 * About how many seconds a picture of 1024x1024 pixels takes in 8 bits on a processor, apart from the first, before which the models are prepared.
 * @param speed of `byteSpeed`
 */
export const secondsOf = ({ steps, rows, tinyVae }: PictureWork, speed: number): number =>
  AROUND + (EVALUATION * (steps * rows + (tinyVae ? TINY_DECODING : DECODING))) / (speed * REACHED);
