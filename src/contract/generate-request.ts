import { z } from "zod";
import { TIMESTEP_SPACINGS } from "../samplers/config.ts";
import { SAMPLER_NAMES } from "../samplers/create-sampler.ts";
import { control } from "./control.ts";
import { numbers } from "./numbers.ts";
import { fileOrNumbers, mixPart, person } from "./person.ts";
import { photo } from "./photo.ts";
import { seed } from "./seed.ts";

/** Pixels along one side. */
const side = z.int().min(8).max(16384).multipleOf(8);
/** Height and width, in this order, as everywhere in diffusers. */
const heightAndWidth = z.tuple([z.int().min(1).max(100_000), z.int().min(1).max(100_000)]);
/** Top and left. */
const topAndLeft = z.tuple([z.int().min(0).max(100_000), z.int().min(0).max(100_000)]);

/** Pixels added at one side. */
const pixels = z.int().min(0).max(8192);

const DRAW = "What to draw:";
const SAMPLING = "Size and sampling:";
const SIZES = "Size conditioning of SDXL:";
const RUN = "How to run:";
const FASTER = "Faster, with slightly different pictures:";
const FILES = "Input and output:";

const generateRequest = z.strictObject({
  prompt: z.string().regex(/\S/).meta({
    group: DRAW,
    flag: "--prompt",
    short: "-p",
    value: "text",
    description: 'what to draw, with the trigger word after the class word: "a photo of a man img as an astronaut"',
    hint: 'Say what to draw, as in "a photo of a man img wearing a spacesuit".',
  }),
  /** Prompt for text encoder 2; the same as `prompt` when absent. */
  prompt2: z.string().optional().meta({
    group: DRAW,
    flag: "--prompt-2",
    value: "text",
    description: "prompt for text encoder 2",
    otherwise: "the prompt",
  }),
  /** When absent, the embedding is zeros; "" is encoded as an empty text, which differs. */
  negativePrompt: z.string().optional().meta({
    group: DRAW,
    flag: "--negative-prompt",
    short: "-n",
    value: "text",
    description: 'what to avoid (leaving it out and "" differ, as in diffusers)',
  }),
  negativePrompt2: z.string().optional().meta({
    group: DRAW,
    flag: "--negative-prompt-2",
    value: "text",
    description: "negative prompt for text encoder 2",
    otherwise: "the negative prompt",
  }),
  /**
   * How prompts are read: with the weights, schedules and tags of A1111, and of any length; or as words alone, of which what does not fit into the
   * text encoder's window is left out, as in diffusers and the official code.
   */
  promptSyntax: z.enum(["a1111", "none"]).optional().meta({
    group: DRAW,
    flag: "--prompt-syntax",
    value: "name",
    description:
      "a1111: weights (word:1.2), BREAK, [from:to:0.4], any length; none: words alone, cut after 77 tokens, as in diffusers",
    otherwise: "a1111",
  }),
  /** A folder of lists: `__name__` in a prompt becomes a line of `name.txt`, chosen by the seed. */
  wildcards: z.string().min(1).optional().meta({
    group: DRAW,
    flag: "--wildcards",
    value: "folder",
    file: true,
    description: "lists for __name__ in prompts: a line of name.txt, chosen by the seed; {this|that} needs no list",
  }),
  /** Words put around the prompt and before the negative prompt, by name: see `STYLE_PRESETS`. */
  style: z.string().min(1).optional().meta({
    group: DRAW,
    flag: "--style",
    value: "name",
    description: "words put around the prompt, such as Cinematic; --list-styles shows all",
    hint: "--list-styles shows all.",
  }),
  /** Photos of one person: paths, or the bytes of picture files. A path may choose a face: `family.jpg#2`, `friends.jpg@0.31,0.4`. */
  inputIdImages: z.array(photo).max(64).default([]).meta({
    group: DRAW,
    flag: "--id-image",
    short: "-i",
    value: "files...",
    file: true,
    description:
      'photos of one person, a folder of them, or a pattern such as "photos/*.jpg"; family.jpg#2 or family.jpg@0.31,0.4 chooses a face',
    subject: "id-images",
    infotext: "ID images",
  }),
  /** V2's face embeddings, one row of `id_embeds` [photos, 512] for each photo: a file (safetensors, .npy), or the numbers. */
  idEmbeds: fileOrNumbers.optional().meta({
    group: DRAW,
    flag: "--id-embeds",
    value: "file",
    file: true,
    description: "face embeddings for a V2 adapter, [photos, 512]: .npy, or safetensors with id_embeds or one tensor alone",
  }),
  /** ID tokens [tokens, width] instead of photos, from `PhotoMaker.encodeIdImages`; they may be selected or mixed. */
  idTokens: numbers.optional().meta({
    group: DRAW,
    description: "ID tokens [tokens, width] instead of photos, from encodeIdImages; they may be selected or mixed",
    infotext: "ID tokens",
  }),
  /** What the ID encoder sees of a photo: a square around the face where that is small, always such a square, or the photo as the official code takes it. */
  idCrop: z.enum(["auto", "always", "off"]).optional().meta({
    group: DRAW,
    flag: "--id-crop",
    value: "name",
    description: "crop photos around the face: auto (where it is small in the photo), always, off (no face is looked for)",
    otherwise: "auto",
    infotext: "ID crop",
  }),
  /** What surrounds the person in a photo: as it is, or noise as in PhotoMaker's training. */
  idBackground: z.enum(["keep", "noise"]).optional().meta({
    group: DRAW,
    flag: "--id-background",
    value: "name",
    description: "keep what is around the person in photos, or replace it by noise, as in training",
    otherwise: "keep",
    infotext: "ID background",
  }),
  /** Whether faces of less than 32 pixels are used, too. */
  allowSmallFaces: z.boolean().optional().meta({
    group: DRAW,
    flag: "--allow-small-faces",
    description: "use faces of less than 32 pixels, too",
  }),
  /** A person that `photomaker person` or `writePerson` wrote, instead of photos. */
  person: z.string().min(1).optional().meta({
    group: DRAW,
    flag: "--person",
    value: "file",
    file: true,
    description: "a person that photomaker person wrote, instead of photos",
    infotext: "ID person",
  }),
  /** Further people whom the person is mixed with. Who has no share takes an equal part of what the others leave. */
  mix: z.array(mixPart).min(1).max(16).optional().meta({
    group: DRAW,
    flag: "--mix",
    value: "photo:share...",
    file: true,
    description: "another person's photos (or a --person file), and their share in a new person: --mix b1.jpg b2.jpg:0.3",
    hint: "Give photos of the other person, and the share behind the last of them: --mix b1.jpg b2.jpg:0.3.",
    infotext: "ID mix",
  }),
  /** How people are mixed: by how many of the ID tokens are theirs, or by how strongly each of their tokens acts. */
  mixBy: z.enum(["tokens", "weights"]).optional().meta({
    group: DRAW,
    flag: "--mix-by",
    value: "name",
    description: "tokens: a share of the stack of ID tokens; weights: all tokens, weaker or stronger",
    otherwise: "tokens",
  }),
  /** Whether each picture is compared with the photos. */
  likeness: z.boolean().optional().meta({
    group: DRAW,
    flag: "--likeness",
    description: "say how similar the face in each picture is to the photos, and by which recogniser",
    infotext: "ID likeness",
  }),
  /** The people of the picture; for one person, `inputIdImages`, `idEmbeds` and `idTokens` are the short form. */
  people: z.array(person).min(1).max(16).optional().meta({
    group: DRAW,
    file: true,
    description: "the people, each with photos or ID tokens, instead of the short form of one",
  }),
  /** A picture to start from, instead of noise. Its size is the result's, unless `width` or `height` is given. */
  image: photo.optional().meta({
    group: DRAW,
    flag: "--init-image",
    value: "file",
    file: true,
    description: "a picture to start from, instead of noise (image-to-image)",
  }),
  /** Share of the steps that are taken from `image` on: 1 is all of them. 0.6 when absent, 0.99 with a mask or with `outpaint`. */
  strength: z.number().min(0).max(1).optional().meta({
    group: DRAW,
    flag: "--strength",
    value: "share",
    description: "how much of --init-image is redrawn: the share of the steps that are taken, above 0 and at most 1",
    otherwise: "0.6; 0.99 with a mask",
    hint: "Take 0.3 to change little, 0.6 to change much, 1 to keep nothing but the mask.",
    infotext: "Denoising strength",
  }),
  /** Mask of `image`: white parts are redrawn. Grey parts change less: differential diffusion, Levin & Fried 2023 (arXiv 2306.00950). */
  maskImage: photo.optional().meta({
    group: DRAW,
    flag: "--mask",
    value: "file",
    file: true,
    description: "mask of --init-image: white is redrawn, black is kept, grey changes less (inpainting)",
  }),
  /** Deviation of the Gaussian blur of the mask's edge, in pixels of `image`. */
  maskBlur: z.int().min(0).max(256).optional().meta({
    group: DRAW,
    flag: "--mask-blur",
    value: "pixels",
    description: "softens the edge of the mask",
    otherwise: "0",
    infotext: "Mask blur",
  }),
  /** Part of `image` that is drawn: all of it, or the mask's surroundings alone, as large as `width` and `height` say, and put back smaller. */
  inpaintArea: z.enum(["whole", "masked"]).optional().meta({
    group: DRAW,
    flag: "--inpaint-area",
    value: "name",
    description: "whole, or masked: draw the mask's surroundings alone, at --width x --height, and put them back",
    otherwise: "whole",
    infotext: "Inpaint area",
  }),
  /** Surroundings of the mask that are drawn with `inpaintArea: "masked"`, in pixels of `image`. */
  maskPadding: z.int().min(0).max(4096).optional().meta({
    group: DRAW,
    flag: "--mask-padding",
    value: "pixels",
    description: "surroundings of the mask that --inpaint-area masked draws with it",
    otherwise: "32",
    infotext: "Masked area padding",
  }),
  /** Pixels by which `image` grows: left, top, right, bottom. They are drawn, with a strip of the picture beside them. */
  outpaint: z.tuple([pixels, pixels, pixels, pixels]).optional().meta({
    group: DRAW,
    flag: "--outpaint",
    value: "L,T,R,B",
    description: "pixels by which --init-image grows at the left, top, right and bottom, or one number for all sides",
    infotext: "Outpaint",
  }),
  /** Whether what the mask keeps gets the pixels of `image` back, which decoding changes a little. */
  pasteBack: z.boolean().optional().meta({
    group: DRAW,
    flag: "--paste-back",
    description: "give what the mask keeps its own pixels back, which decoding changes a little",
    otherwise: "with --inpaint-area masked and --outpaint",
  }),
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
    description: "width, a multiple of 8",
    otherwise: "the model's, 1024 for SDXL",
    subject: "size",
  }),
  height: side.optional().meta({
    group: SAMPLING,
    flag: "--height",
    value: "pixels",
    description: "height, a multiple of 8",
    otherwise: "the model's, 1024 for SDXL",
    subject: "size",
  }),
  /** Denoising steps: 50 when absent, or the number that a few-step model was distilled for. */
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
  /** Classifier-free guidance: Ho & Salimans 2022 (arXiv 2207.12598); 1 or less turns it off. 5 when absent, or the few-step model's own. */
  guidanceScale: z.number().min(0).max(1000).optional().meta({
    group: SAMPLING,
    flag: "--guidance-scale",
    short: "-g",
    value: "number",
    description: "how closely to follow the prompt; 1 turns guidance off",
    otherwise: "5, or the few-step model's",
    hint: "Take about 5; 1 turns guidance off.",
    infotext: "CFG scale",
  }),
  /** Rescaling of guidance: Lin et al. 2023 (arXiv 2305.08891), equation 16. */
  guidanceRescale: z.number().min(0).max(1).default(0).meta({
    group: SAMPLING,
    flag: "--guidance-rescale",
    value: "number",
    description: "0 to 1, reduces overexposure",
  }),
  /** Share of the steps that use guidance, from the first, rounded to whole steps: Kynkäänniemi et al. 2024 (arXiv 2404.07724). */
  guidanceEnd: z.number().min(0).max(1).default(1).meta({
    group: SAMPLING,
    flag: "--guidance-end",
    value: "share",
    description: "0 to 1: share of the steps that use guidance; those after it take half the work",
    infotext: "Guidance end",
  }),
  /** Last evaluation without the identity, counted from 0; -1 includes the identity from the first one on. */
  startMergeStep: z.int().min(-1).max(1_000_000).optional().meta({
    group: SAMPLING,
    flag: "--start-merge-step",
    value: "step",
    description: "last step without the person; -1 has the person from the start (see below)",
    hint: "Take -1 to have the identity from the first step, or the number of steps to wait.",
    infotext: "Start merge step",
  }),
  /** Percentage of the steps before the identity is merged in: `startMergeStep` as the official demo expresses it. */
  styleStrength: z.number().min(0).max(100).optional().meta({
    group: SAMPLING,
    flag: "--style-strength",
    value: "percent",
    description: "the same as a percentage of the steps",
    otherwise: "20; see below",
    hint: "Take 15 to 50 percent; more follows the text, less the face.",
  }),
  /**
   * Interval, in evaluations, at which the whole UNet runs; in between, the cached output of its deep layers is used. Off when absent or 1.
   * DeepCache: Ma et al. 2023 (arXiv 2312.00858).
   */
  deepCache: z.int().min(1).max(1000).optional().meta({
    group: FASTER,
    flag: "--deep-cache",
    value: "interval",
    description: "DeepCache: run the whole UNet once in this many evaluations, and its outer layers in between; 2 to 5",
    otherwise: "off",
    infotext: "DeepCache",
  }),
  /**
   * First evaluation, counted from 0, that uses cached outputs of cross-attention and no guidance.
   * T-GATE: Zhang et al. 2024 (arXiv 2404.02747).
   */
  tGate: z.int().min(1).max(1_000_000).optional().meta({
    group: FASTER,
    flag: "--t-gate",
    value: "step",
    description: "T-GATE: from this evaluation on, cached cross-attention and no guidance; half of the steps or more",
    otherwise: "off",
    infotext: "T-GATE",
  }),
  /**
   * Factor by which keys and values are downsampled along height and width in the UNet's largest level with attention. Off when absent or 1.
   * ToDo: Smith et al. 2024 (arXiv 2402.13573).
   */
  tokenDownsampling: z.int().min(1).max(8).optional().meta({
    group: FASTER,
    flag: "--token-downsampling",
    value: "factor",
    description: "ToDo: attention over large pictures sees every n-th row and column only; 2 or 3, for 1024x1024 or more",
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
  /** Spacing of the timesteps: Lin et al. 2023 (arXiv 2305.08891), table 2. The model's own when absent; LCM and TCD ignore it. */
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
  /** Noise of DDIM: Song et al. 2020 (arXiv 2010.02502), equation 16. For TCD, its gamma. 0 when absent, or the few-step model's own. */
  eta: z.number().min(0).max(1).optional().meta({
    group: SAMPLING,
    flag: "--eta",
    value: "number",
    description: "noise of ddim, gamma of tcd, 0 to 1",
    otherwise: "0, or the few-step model's",
  }),
  /** Seed of the noise. When absent, it is drawn at random and reported. */
  seed: seed.optional().meta({
    group: SAMPLING,
    flag: "--seed",
    value: "number",
    description: "the same seed gives the same picture, as in diffusers; up to 2^64 - 1",
    otherwise: "random, and reported",
    hint: "Give a whole number from 0 to 2^64 - 1, such as 42; beyond 2^53 - 1 as text or bigint, since numbers are not exact there.",
    infotext: "Seed",
  }),
  /** Random number generator that the seed is for: PyTorch's `torch.Generator("cpu")` or `torch.Generator("cuda")`. */
  generatorDevice: z.enum(["cpu", "cuda"]).default("cpu").meta({
    group: SAMPLING,
    flag: "--generator-device",
    value: "name",
    description: "cpu or cuda: the device of the torch.Generator in a diffusers script",
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
  /** Number of last layers of the text encoders to skip, beyond the one that SDXL skips. */
  clipSkip: z.int().min(0).max(32).optional().meta({
    group: SAMPLING,
    flag: "--clip-skip",
    value: "layers",
    description: "text encoder layers to skip, beyond the one that SDXL skips",
    otherwise: "0",
    infotext: "Clip skip",
  }),
  originalSize: heightAndWidth.optional().meta({
    group: SIZES,
    flag: "--original-size",
    value: "WxH",
    description: "size before cropping",
    otherwise: "the picture's size",
  }),
  targetSize: heightAndWidth.optional().meta({
    group: SIZES,
    flag: "--target-size",
    value: "WxH",
    description: "size after cropping",
    otherwise: "the picture's size",
  }),
  cropsCoordsTopLeft: topAndLeft.default([0, 0]).meta({
    group: SIZES,
    flag: "--crops-coords-top-left",
    value: "Y,X",
    description: "top left corner of the crop",
  }),
  /** Size conditioning of the negative prompt. It takes effect only if `negativeTargetSize` is given as well. */
  negativeOriginalSize: heightAndWidth.optional().meta({
    group: SIZES,
    flag: "--negative-original-size",
    value: "WxH",
    description: "the same for the negative prompt; takes effect only with",
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
  /** Initial noise instead of the seed's: a safetensors file, or [pictures, 4, height/8, width/8]. */
  latents: fileOrNumbers.optional().meta({
    group: FILES,
    flag: "--latents",
    value: "file",
    file: true,
    after: "saveLatents",
    description: "start from the initial_noise (or latents) of a safetensors file, not from the seed",
  }),
  /**
   * Decoder of the latents: the model's VAE; the tiny VAE (`tinyVae`), which is far quicker and a little less sharp; or the sharp decoder that the
   * miniature has, whose pictures have twice the width and height. By default `sharp` where the model has it, else `vae`.
   */
  decoder: z.enum(["vae", "tiny-vae", "sharp"]).optional().meta({
    group: RUN,
    flag: "--decoder",
    value: "name",
    after: "precision",
    description:
      "vae; tiny-vae: much faster, slightly less sharp; needs --tiny-vae; sharp, which the miniature has: twice the size (default: sharp where there is one)",
    infotext: "VAE Decoder",
  }),
  /** Whether to send a preview after each step, decoded by the tiny VAE if one is loaded. */
  preview: z.boolean().default(false).meta({
    group: FILES,
    flag: "--preview",
    after: "latents",
    description: "write a preview_0.png … of each picture to the folder after every step: small, or full size with --tiny-vae",
  }),
});

/** A checked request with its defaults, the same for command line, code and server. Names as in diffusers. */
export type GenerateRequest = z.output<typeof generateRequest>;
/** A request as a caller writes it. */
export type GenerateInput = z.input<typeof generateRequest>;
export const GenerateRequest = generateRequest;
