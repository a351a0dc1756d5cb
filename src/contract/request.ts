import { z } from "zod";
import type { FloatArray } from "../core/array.ts";
import { UserError } from "../core/errors.ts";
import { TIMESTEP_SPACINGS } from "../samplers/config.ts";
import { SAMPLER_NAMES } from "../samplers/create-sampler.ts";
import { type NameOf, plainName, requestError } from "./request-error.ts";

const path = z.string().min(1);
/** Pixels along one side. */
const side = z.int().min(8).max(16384).multipleOf(8);
/** Height and width, in this order, as everywhere in diffusers. */
const heightAndWidth = z.tuple([z.int().min(1).max(100_000), z.int().min(1).max(100_000)]);
/** Top and left. */
const topAndLeft = z.tuple([z.int().min(0).max(100_000), z.int().min(0).max(100_000)]);
const floats = z.custom<FloatArray>(isFloatArray);

const generateRequest = z.strictObject({
  prompt: z.string().regex(/\S/),
  /** For text encoder 2; the same as `prompt` when absent. */
  prompt2: z.string().optional(),
  /** Absent differs from "": absent gives an embedding of zeros, "" an encoded empty text. */
  negativePrompt: z.string().optional(),
  negativePrompt2: z.string().optional(),
  /** Photos of one person: paths, or the bytes of picture files. */
  inputIdImages: z
    .array(z.union([path, z.instanceof(Uint8Array)]))
    .max(64)
    .default([]),
  /** V2's face embeddings, one row of `id_embeds` [photos, 512] for each photo: a safetensors file, or the numbers. */
  idEmbeds: z.union([path, floats]).optional(),
  /** Who it is, instead of photos: ID tokens [tokens, width] of `PhotoMaker.encodeIdImages`, as they are, chosen or mixed. */
  idTokens: floats.optional(),
  /** The model's own size when absent. */
  width: side.optional(),
  height: side.optional(),
  /** 50 when absent, or what a few-step model wants. */
  numInferenceSteps: z.int().min(1).max(1000).optional(),
  /** Ho & Salimans 2022 (arXiv 2207.12598); 1 and less is without guidance. 5 when absent, or what a few-step model wants. */
  guidanceScale: z.number().min(0).max(1000).optional(),
  /** Lin et al. 2023 (arXiv 2305.08891), equation 16. */
  guidanceRescale: z.number().min(0).max(1).default(0),
  /** Share of the steps with guidance, rounded to whole steps; the rest is without: Kynkäänniemi et al. 2024 (arXiv 2404.07724). */
  guidanceEnd: z.number().min(0).max(1).default(1),
  /** The identity is left out up to and with this evaluation, counted from 0; -1 has it from the first one on. */
  startMergeStep: z.int().min(-1).max(1_000_000).optional(),
  /** Percent of the steps before the identity comes in: the official demo's form of `startMergeStep`. */
  styleStrength: z.number().min(0).max(100).optional(),
  /**
   * Evaluations from one of the whole UNet to the next; in between its deep layers' last answer serves again. Absent, or 1: all are whole.
   * DeepCache: Ma et al. 2023 (arXiv 2312.00858).
   */
  deepCache: z.int().min(1).max(1000).optional(),
  /**
   * The first evaluation, counted from 0, that takes over what cross-attention said before and goes on without guidance.
   * T-GATE: Zhang et al. 2024 (arXiv 2404.02747).
   */
  tGate: z.int().min(1).max(1_000_000).optional(),
  /**
   * Pixels of the UNet's largest level with attention look at every so-many-th one of every so-many-th row only. Absent, or 1: at all.
   * ToDo: Smith et al. 2024 (arXiv 2402.13573).
   */
  tokenDownsampling: z.int().min(1).max(8).optional(),
  /** The model's own when absent. */
  scheduler: z.enum(SAMPLER_NAMES).optional(),
  /** How timesteps are laid out: Lin et al. 2023 (arXiv 2305.08891), table 2. The model's own when absent; of no effect for LCM and TCD. */
  timestepSpacing: z.enum(TIMESTEP_SPACINGS).optional(),
  /** Noise of DDIM: Song et al. 2020 (arXiv 2010.02502), equation 16. For TCD, its gamma. 0 when absent, or what a few-step model wants. */
  eta: z.number().min(0).max(1).optional(),
  /** Drawn at random, and reported, when absent. */
  seed: z.int().min(0).optional(),
  /** Whose random numbers a seed stands for: PyTorch's `torch.Generator("cpu")` or `torch.Generator("cuda")`. */
  generatorDevice: z.enum(["cpu", "cuda"]).default("cpu"),
  numImagesPerPrompt: z.int().min(1).max(256).default(1),
  /** Layers of the text encoders to leave out at their end, beyond the one that SDXL leaves out. */
  clipSkip: z.int().min(0).max(32).optional(),
  originalSize: heightAndWidth.optional(),
  targetSize: heightAndWidth.optional(),
  cropsCoordsTopLeft: topAndLeft.default([0, 0]),
  /** Negative sizes count only if both are given. */
  negativeOriginalSize: heightAndWidth.optional(),
  negativeTargetSize: heightAndWidth.optional(),
  negativeCropsCoordsTopLeft: topAndLeft.default([0, 0]),
  /** Noise to start from, instead of the seed's: a safetensors file, or [pictures, 4, height/8, width/8]. */
  latents: z.union([path, floats]).optional(),
  /** What makes pictures of latents: the model's VAE, or the tiny one (`tinyVae`), which is far quicker and a little less sharp. */
  decoder: z.enum(["vae", "tiny-vae"]).default("vae"),
  /** Whether to show the picture as it stands after each step: decoded by the tiny VAE where there is one. */
  preview: z.boolean().default(false),
});

/** What to draw, checked, with defaults: the same for command line, code and server. Names as in diffusers. */
export type GenerateRequest = z.output<typeof generateRequest>;
/** What to draw, as a caller writes it. */
export type GenerateInput = z.input<typeof generateRequest>;
export const GenerateRequest = generateRequest;

const loadOptions = z.strictObject({
  /** An SDXL model: a diffusers folder, a single file, or a repository of the hub. */
  model: path,
  /** For a single file: a folder with the configs of its components. */
  modelConfig: path.optional(),
  /** A PhotoMaker adapter: a file, a folder, or a repository of the hub. Plain SDXL when absent. */
  adapter: path.optional(),
  /** Strength of the adapter's LoRA. */
  adapterScale: z.number().min(-100).max(100).default(1),
  /** A tiny autoencoder (TAESD) for the model's latents: a diffusers folder, a decoder file, or a repository of the hub. */
  tinyVae: path.optional(),
  /** Each a file, a folder, or a repository of the hub. */
  loras: z.array(z.strictObject({ path, scale: z.number().min(-100).max(100).default(1) })).default([]),
  /** The word that marks the class word before it. */
  triggerWord: z.string().regex(/^\S+$/).default("img"),
  device: z.enum(["auto", "cpu", "cuda", "webgpu"]).default("auto"),
  /**
   * f32 is the reference's; int8, on the processor, computes linear layers in 8 bits, a third of time and memory; f16, on graphics cards,
   * computes in half precision but for norms, softmax, time embeddings and the VAE.
   */
  precision: z.enum(["auto", "f32", "f16", "int8"]).default("auto"),
  threads: z.int().min(1).max(1024).optional(),
  /** Puts each model away after its use, so that about one at a time is in memory: for single pictures on small machines. */
  unloadAfterUse: z.boolean().default(false),
  /** Bytes of encoded texts and photos that are kept for later requests; a text of SDXL takes 0.6 MB, a photo 8 or 16 KB. 0 keeps none. */
  encodingCacheBytes: z
    .int()
    .min(0)
    .default(64 * 2 ** 20),
});

/** Which models to run and how, checked, with defaults. */
export type LoadOptions = z.output<typeof loadOptions>;
export type LoadInput = z.input<typeof loadOptions>;
export const LoadOptions = loadOptions;

/**
 * @param nameOf how the user calls a value
 * @throws UserError request/unknown-key, and `<subject>/<what is wrong>` such as size/not-multiple-of-8, steps/out-of-range,
 *   prompt/missing, prompt/empty, scheduler/unknown, merge-step/given-twice
 */
export function parseGenerateRequest(value: unknown, nameOf: NameOf = plainName): GenerateRequest {
  const request = parse(generateRequest, value, nameOf);
  if (request.startMergeStep !== undefined && request.styleStrength !== undefined)
    throw new UserError(
      "merge-step/given-twice",
      `Both ${nameOf(["startMergeStep"])} and ${nameOf(["styleStrength"])} are given, and both say when the identity comes in.`,
      "Give one of them.",
    );
  return request;
}

/** @throws UserError as {@link parseGenerateRequest} */
export const parseLoadOptions = (value: unknown, nameOf: NameOf = plainName): LoadOptions => parse(loadOptions, value, nameOf);

const idImages = generateRequest.pick({ inputIdImages: true, idEmbeds: true });

/**
 * Photos of one person without a request.
 * @throws UserError id-images/wrong-type, id-embeds/wrong-type
 */
export const parseIdImages = (value: unknown, nameOf: NameOf = plainName): z.output<typeof idImages> =>
  parse(idImages, value, nameOf);

/**
 * Whether models and request go together, as far as that can be said before a file is opened.
 * @throws UserError id-images/missing, id-images/not-wanted, id-tokens/not-wanted, id-tokens/given-twice
 */
export function checkPhotos(
  adapter: boolean,
  { inputIdImages, idEmbeds, idTokens }: Pick<GenerateRequest, "inputIdImages" | "idEmbeds" | "idTokens">,
  nameOf: NameOf = plainName,
): void {
  const [photos, tokens, option] = [nameOf(["inputIdImages"]), nameOf(["idTokens"]), nameOf(["adapter"])];
  if (adapter && inputIdImages.length === 0 && idTokens === undefined)
    throw new UserError("id-images/missing", "There is no photo of the person.", `Give one or more with ${photos}.`);
  if (adapter && (inputIdImages.length > 0 || idEmbeds !== undefined) && idTokens !== undefined)
    throw new UserError(
      "id-tokens/given-twice",
      `Both ${inputIdImages.length > 0 ? photos : nameOf(["idEmbeds"])} and ${tokens} are given, and both say who the person is.`,
      "Give one of them.",
    );
  if (!adapter && (inputIdImages.length > 0 || idTokens !== undefined))
    throw new UserError(
      idTokens === undefined ? "id-images/not-wanted" : "id-tokens/not-wanted",
      `${idTokens === undefined ? "Photos" : "ID tokens"} are given, but no PhotoMaker adapter that could use them.`,
      `Give the adapter with ${option}, or leave ${idTokens === undefined ? photos : tokens} out to draw without a person.`,
    );
}

/** Numbers with their dimensions, which must multiply to how many there are. */
function isFloatArray(value: unknown): value is FloatArray {
  if (typeof value !== "object" || value === null || !("data" in value) || !("dims" in value)) return false;
  const { data, dims } = value;
  if (!(data instanceof Float32Array) || !Array.isArray(dims)) return false;
  return dims.every((d) => Number.isInteger(d) && d >= 0) && dims.reduce((a: number, b: number) => a * b, 1) === data.length;
}

function parse<T extends z.ZodObject>(schema: T, value: unknown, nameOf: NameOf): z.output<T> {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  throw requestError(result.error, Object.keys(schema.shape), nameOf);
}
