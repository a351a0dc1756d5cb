import { z } from "zod";
import { TIMESTEP_SPACINGS } from "../samplers/config.ts";
import { SAMPLER_NAMES } from "../samplers/create-sampler.ts";
import { control } from "./control.ts";
import { numbers } from "./numbers.ts";
import { fileOrNumbers, person } from "./person.ts";
import { photo } from "./photo.ts";
import { seed } from "./seed.ts";

/** Pixels along one side. */
const side = z.int().min(8).max(16384).multipleOf(8);
/** Height and width, in this order, as everywhere in diffusers. */
const heightAndWidth = z.tuple([z.int().min(1).max(100_000), z.int().min(1).max(100_000)]);
/** Top and left. */
const topAndLeft = z.tuple([z.int().min(0).max(100_000), z.int().min(0).max(100_000)]);

const DRAW = "What to draw:";
const SAMPLING = "Size and sampling:";
const SIZES = "What SDXL is told about sizes:";
const RUN = "How to run:";
const FASTER = "Faster, and not quite the same picture:";
const FILES = "Input and output:";

const generateRequest = z.strictObject({
  prompt: z.string().regex(/\S/).meta({
    group: DRAW,
    flag: "--prompt",
    short: "-p",
    value: "text",
    description: 'with the trigger word after the class word: "a photo of a man img as an astronaut"',
    hint: 'Say what to draw, as in "a photo of a man img wearing a spacesuit".',
  }),
  /** For text encoder 2; the same as `prompt` when absent. */
  prompt2: z.string().optional().meta({
    group: DRAW,
    flag: "--prompt-2",
    value: "text",
    description: "another prompt for text encoder 2",
    otherwise: "the same",
  }),
  /** Absent differs from "": absent gives an embedding of zeros, "" an encoded empty text. */
  negativePrompt: z.string().optional().meta({
    group: DRAW,
    flag: "--negative-prompt",
    short: "-n",
    value: "text",
    description: 'what to keep out (none and "" differ, as in diffusers)',
  }),
  negativePrompt2: z.string().optional().meta({
    group: DRAW,
    flag: "--negative-prompt-2",
    value: "text",
    description: "another one for text encoder 2",
    otherwise: "the same",
  }),
  /** Words put around the prompt and before the negative prompt, by name: see `STYLE_PRESETS`. */
  style: z.string().min(1).optional().meta({
    group: DRAW,
    flag: "--style",
    value: "name",
    description: "words put around the prompt, such as Cinematic; --list-styles shows all",
    hint: "--list-styles shows all.",
  }),
  /** Photos of one person: paths, or the bytes of picture files. */
  inputIdImages: z.array(photo).max(64).default([]).meta({
    group: DRAW,
    flag: "--id-image",
    short: "-i",
    value: "files...",
    file: true,
    description:
      'photos of one person, a folder of them, or a pattern such as "photos/*.jpg"; more of them give a better likeness',
    subject: "id-images",
    infotext: "ID images",
  }),
  /** V2's face embeddings, one row of `id_embeds` [photos, 512] for each photo: a safetensors file, or the numbers. */
  idEmbeds: fileOrNumbers.optional().meta({
    group: DRAW,
    flag: "--id-embeds",
    value: "file",
    file: true,
    description: "face embeddings for a V2 adapter: safetensors with id_embeds [photos, 512]",
  }),
  /** Who it is, instead of photos: ID tokens [tokens, width] of `PhotoMaker.encodeIdImages`, as they are, chosen or mixed. */
  idTokens: numbers.optional().meta({
    group: DRAW,
    description: "who it is, instead of photos: ID tokens [tokens, width], as encodeIdImages makes them, chosen or mixed",
    infotext: "ID tokens",
  }),
  /** The people, where the short form of one (`inputIdImages`, `idEmbeds`, `idTokens`) does not say enough. */
  people: z.array(person).min(1).max(16).optional().meta({
    group: DRAW,
    file: true,
    description: "the people, each with photos or ID tokens, instead of the short form of one",
  }),
  /** A picture to start from, instead of noise. */
  image: photo.optional().meta({ group: DRAW, file: true, description: "a picture to start from, instead of noise" }),
  /** How much of `image` is drawn anew: 1 is all of it. */
  strength: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .meta({ group: DRAW, description: "share of the start picture that is drawn anew" }),
  /** What of `image` is drawn anew: where it is white. */
  maskImage: photo
    .optional()
    .meta({ group: DRAW, file: true, description: "which part of the start picture is drawn anew: the white one" }),
  /** Hints about shape, such as poses. */
  control: z
    .array(control)
    .max(16)
    .optional()
    .meta({ group: DRAW, file: true, description: "hints about shape, such as poses or edges" }),
  /** The model's own size when absent. */
  width: side.optional().meta({
    group: SAMPLING,
    flag: "--width",
    value: "pixels",
    description: "a multiple of 8",
    otherwise: "the model's, 1024 for SDXL",
    subject: "size",
  }),
  height: side.optional().meta({
    group: SAMPLING,
    flag: "--height",
    value: "pixels",
    description: "a multiple of 8",
    otherwise: "the model's, 1024 for SDXL",
    subject: "size",
  }),
  /** 50 when absent, or what a few-step model wants. */
  numInferenceSteps: z.int().min(1).max(1000).optional().meta({
    group: SAMPLING,
    flag: "--steps",
    short: "-s",
    value: "count",
    description: "denoising steps",
    otherwise: "50; a few-step model or LoRA has its own",
    subject: "steps",
    hint: "Take 20 to 50; few-step models need 4 to 8.",
    infotext: "Steps",
  }),
  /** Ho & Salimans 2022 (arXiv 2207.12598); 1 and less is without guidance. 5 when absent, or what a few-step model wants. */
  guidanceScale: z.number().min(0).max(1000).optional().meta({
    group: SAMPLING,
    flag: "--guidance-scale",
    short: "-g",
    value: "number",
    description: "how closely to follow the text; 1 is without guidance",
    otherwise: "5, or the few-step model's",
    hint: "Take about 5; 1 turns guidance off.",
    infotext: "CFG scale",
  }),
  /** Lin et al. 2023 (arXiv 2305.08891), equation 16. */
  guidanceRescale: z.number().min(0).max(1).default(0).meta({
    group: SAMPLING,
    flag: "--guidance-rescale",
    value: "number",
    description: "0 to 1, against overexposure",
  }),
  /** Share of the steps with guidance, rounded to whole steps; the rest is without: Kynkäänniemi et al. 2024 (arXiv 2404.07724). */
  guidanceEnd: z.number().min(0).max(1).default(1).meta({
    group: SAMPLING,
    flag: "--guidance-end",
    value: "share",
    description: "0 to 1: after this share of the steps no guidance, so half the work a step",
    infotext: "Guidance end",
  }),
  /** The identity is left out up to and with this evaluation, counted from 0; -1 has it from the first one on. */
  startMergeStep: z.int().min(-1).max(1_000_000).optional().meta({
    group: SAMPLING,
    flag: "--start-merge-step",
    value: "step",
    description: "step after which the person comes in; -1 is from the start (see below)",
    hint: "Take -1 to have the identity from the first step, or the number of steps to wait.",
    infotext: "Start merge step",
  }),
  /** Percent of the steps before the identity comes in: the official demo's form of `startMergeStep`. */
  styleStrength: z.number().min(0).max(100).optional().meta({
    group: SAMPLING,
    flag: "--style-strength",
    value: "percent",
    description: "the same as a share of the steps",
    otherwise: "20; see below",
    hint: "Take 15 to 50 percent; more follows the text, less the face.",
  }),
  /**
   * Evaluations from one of the whole UNet to the next; in between its deep layers' last answer serves again. Absent, or 1: all are whole.
   * DeepCache: Ma et al. 2023 (arXiv 2312.00858).
   */
  deepCache: z.int().min(1).max(1000).optional().meta({
    group: FASTER,
    flag: "--deep-cache",
    value: "interval",
    description: "DeepCache: the whole UNet at every so many evaluations, its outer layers at the others; 2 to 5",
    otherwise: "off",
    infotext: "DeepCache",
  }),
  /**
   * The first evaluation, counted from 0, that takes over what cross-attention said before and goes on without guidance.
   * T-GATE: Zhang et al. 2024 (arXiv 2404.02747).
   */
  tGate: z.int().min(1).max(1_000_000).optional().meta({
    group: FASTER,
    flag: "--t-gate",
    value: "step",
    description: "T-GATE: from this evaluation on no guidance, and the text is not looked at again; half of the steps or more",
    otherwise: "off",
    infotext: "T-GATE",
  }),
  /**
   * Pixels of the UNet's largest level with attention look at every so-many-th one of every so-many-th row only. Absent, or 1: at all.
   * ToDo: Smith et al. 2024 (arXiv 2402.13573).
   */
  tokenDownsampling: z.int().min(1).max(8).optional().meta({
    group: FASTER,
    flag: "--token-downsampling",
    value: "factor",
    description: "ToDo: pixels of large pictures look at every so-many-th other, down and across; 2 or 3, for 1024x1024 or more",
    otherwise: "off",
    infotext: "Token downsampling",
  }),
  /** The model's own when absent. */
  scheduler: z
    .enum(SAMPLER_NAMES)
    .optional()
    .meta({
      group: SAMPLING,
      flag: "--scheduler",
      value: "name",
      description: SAMPLER_NAMES.join(", "),
      otherwise: "the model's",
      hint: "Leave it out to take the model's own.",
      infotext: "Sampler",
    }),
  /** How timesteps are laid out: Lin et al. 2023 (arXiv 2305.08891), table 2. The model's own when absent; of no effect for LCM and TCD. */
  timestepSpacing: z
    .enum(TIMESTEP_SPACINGS)
    .optional()
    .meta({
      group: SAMPLING,
      flag: "--timestep-spacing",
      value: "name",
      description: TIMESTEP_SPACINGS.join(", "),
      otherwise: "the model's",
    }),
  /** Noise of DDIM: Song et al. 2020 (arXiv 2010.02502), equation 16. For TCD, its gamma. 0 when absent, or what a few-step model wants. */
  eta: z.number().min(0).max(1).optional().meta({
    group: SAMPLING,
    flag: "--eta",
    value: "number",
    description: "noise of ddim, gamma of tcd, 0 to 1",
    otherwise: "0, or the few-step model's",
  }),
  /** Drawn at random, and reported, when absent. */
  seed: seed.optional().meta({
    group: SAMPLING,
    flag: "--seed",
    value: "number",
    description: "same seed, same picture, also as in diffusers; up to 2^64 - 1",
    otherwise: "random, and told",
    hint: "Give a whole number from 0 to 2^64 - 1, such as 42; beyond 2^53 - 1 as text or bigint, since numbers are not exact there.",
    infotext: "Seed",
  }),
  /** Whose random numbers a seed stands for: PyTorch's `torch.Generator("cpu")` or `torch.Generator("cuda")`. */
  generatorDevice: z.enum(["cpu", "cuda"]).default("cpu").meta({
    group: SAMPLING,
    flag: "--generator-device",
    value: "name",
    description: "cpu or cuda: a diffusers script's torch.Generator",
    infotext: "RNG",
  }),
  numImagesPerPrompt: z.int().min(1).max(256).default(1).meta({
    group: SAMPLING,
    flag: "--num-images",
    value: "count",
    description: "pictures to make at once",
    subject: "num-images",
  }),
  /** One picture of the `numImagesPerPrompt` alone, counted from 0: the same as among them, with its share of their noise. */
  onlyImage: z.int().min(0).max(255).optional().meta({
    group: SAMPLING,
    flag: "--only-image",
    value: "index",
    description: "of the pictures that --num-images makes at once, this one alone; the first is 0",
    otherwise: "all",
    hint: "Count from 0: of 4 pictures the last is 3.",
  }),
  /** Layers of the text encoders to leave out at their end, beyond the one that SDXL leaves out. */
  clipSkip: z.int().min(0).max(32).optional().meta({
    group: SAMPLING,
    flag: "--clip-skip",
    value: "layers",
    description: "text encoder layers to leave out beyond SDXL's one",
    otherwise: "0",
    infotext: "Clip skip",
  }),
  originalSize: heightAndWidth.optional().meta({
    group: SIZES,
    flag: "--original-size",
    value: "WxH",
    description: "size that the picture seems to have had",
    otherwise: "its size",
  }),
  targetSize: heightAndWidth.optional().meta({
    group: SIZES,
    flag: "--target-size",
    value: "WxH",
    description: "size that it should have",
    otherwise: "its size",
  }),
  cropsCoordsTopLeft: topAndLeft.default([0, 0]).meta({
    group: SIZES,
    flag: "--crops-coords-top-left",
    value: "Y,X",
    description: "where it seems to be cut out",
  }),
  /** Negative sizes count only if both are given. */
  negativeOriginalSize: heightAndWidth.optional().meta({
    group: SIZES,
    flag: "--negative-original-size",
    value: "WxH",
    description: "the same for the negative prompt; counts only with",
  }),
  negativeTargetSize: heightAndWidth.optional().meta({
    group: SIZES,
    flag: "--negative-target-size",
    value: "WxH",
    description: "this one",
    otherwise: "as the positive ones",
  }),
  negativeCropsCoordsTopLeft: topAndLeft.default([0, 0]).meta({
    group: SIZES,
    flag: "--negative-crops-coords-top-left",
    value: "Y,X",
    description: "",
  }),
  /** Noise to start from, instead of the seed's: a safetensors file, or [pictures, 4, height/8, width/8]. */
  latents: fileOrNumbers.optional().meta({
    group: FILES,
    flag: "--latents",
    value: "file",
    file: true,
    after: "saveLatents",
    description: "start from the initial_noise (or latents) of a safetensors file, not from the seed",
  }),
  /** What makes pictures of latents: the model's VAE, or the tiny one (`tinyVae`), which is far quicker and a little less sharp. */
  decoder: z.enum(["vae", "tiny-vae"]).default("vae").meta({
    group: RUN,
    flag: "--decoder",
    value: "name",
    after: "precision",
    description: "vae, or tiny-vae: far quicker, a little less sharp; needs --tiny-vae",
    infotext: "VAE Decoder",
  }),
  /** Whether to show the picture as it stands after each step: decoded by the tiny VAE where there is one. */
  preview: z.boolean().default(false).meta({
    group: FILES,
    flag: "--preview",
    after: "latents",
    description: "keep a preview_0.png … of the pictures as they stand in the folder: small, or in full size with --tiny-vae",
  }),
});

/** What to draw, checked, with defaults: the same for command line, code and server. Names as in diffusers. */
export type GenerateRequest = z.output<typeof generateRequest>;
/** What to draw, as a caller writes it. */
export type GenerateInput = z.input<typeof generateRequest>;
export const GenerateRequest = generateRequest;
