import { TIMESTEP_SPACINGS } from "../samplers/config.ts";
import { SAMPLER_NAMES } from "../samplers/create-sampler.ts";
import { heightAndWidth, numberOr, pathAndScale, topAndLeft } from "./flag-values.ts";

export type Section = "load" | "request" | "output";

export interface Flag {
  /** As commander writes it. */
  readonly flags: string;
  readonly help: string;
  readonly section: Section;
  /** The field of LoadOptions, GenerateRequest or OutputOptions. */
  readonly key: string;
  /** Turns a text into what the field takes; `flag` is the long name. */
  readonly parse?: (text: string, flag: string) => unknown;
  /** Whether it names a file to read: paths in a config file count from there. */
  readonly isPath?: boolean;
}

const LOAD = { section: "load" } as const;
const REQUEST = { section: "request" } as const;
const OUTPUT = { section: "output" } as const;

/** All flags of `generate` by group. Defaults stand in the schema of the request, and here in the help. */
export const GENERATE_FLAGS: Readonly<Record<string, readonly Flag[]>> = {
  "What to draw:": [
    {
      ...REQUEST,
      key: "prompt",
      flags: "-p, --prompt <text>",
      help: 'with the trigger word after the class word: "a photo of a man img as an astronaut"',
    },
    { ...REQUEST, key: "prompt2", flags: "--prompt-2 <text>", help: "another prompt for text encoder 2 (default: the same)" },
    {
      ...REQUEST,
      key: "negativePrompt",
      flags: "-n, --negative-prompt <text>",
      help: 'what to keep out (none and "" differ, as in diffusers)',
    },
    {
      ...REQUEST,
      key: "negativePrompt2",
      flags: "--negative-prompt-2 <text>",
      help: "another one for text encoder 2 (default: the same)",
    },
    {
      ...REQUEST,
      key: "inputIdImages",
      flags: "-i, --id-image <files...>",
      help: 'photos of one person, a folder of them, or a pattern such as "photos/*.jpg"; more of them give a better likeness',
      isPath: true,
    },
    {
      ...REQUEST,
      key: "idEmbeds",
      flags: "--id-embeds <file>",
      help: "face embeddings for a V2 adapter: safetensors with id_embeds [photos, 512]",
      isPath: true,
    },
  ],
  "Models:": [
    {
      ...LOAD,
      key: "model",
      flags: "-m, --model <path>",
      help: "SDXL: a diffusers folder, a .safetensors file, or org/name on the Hugging Face hub",
      isPath: true,
    },
    {
      ...LOAD,
      key: "modelConfig",
      flags: "--model-config <folder>",
      help: "configs for a single-file model (default: looked for beside it)",
      isPath: true,
    },
    {
      ...LOAD,
      key: "adapter",
      flags: "-a, --adapter <path>",
      help: "PhotoMaker V1 or V2: a file, a folder, or org/name; without it, plain SDXL",
      isPath: true,
    },
    {
      ...LOAD,
      key: "adapterScale",
      flags: "--adapter-scale <number>",
      help: "strength of the adapter's LoRA (default: 1)",
      parse: numberOr,
    },
    {
      ...LOAD,
      key: "loras",
      flags: "--lora <path:scale...>",
      help: "LoRA files with their strengths (default strength: 1)",
      parse: pathAndScale,
      isPath: true,
    },
    {
      ...LOAD,
      key: "tinyVae",
      flags: "--tiny-vae <path>",
      help: "tiny autoencoder (TAESD) for previews, and for --decoder tiny-vae: madebyollin/taesdxl, a folder or a file",
      isPath: true,
    },
    { ...LOAD, key: "triggerWord", flags: "--trigger-word <word>", help: 'the word that marks the person (default: "img")' },
  ],
  "Size and sampling:": [
    {
      ...REQUEST,
      key: "width",
      flags: "--width <pixels>",
      help: "a multiple of 8 (default: the model's, 1024 for SDXL)",
      parse: numberOr,
    },
    {
      ...REQUEST,
      key: "height",
      flags: "--height <pixels>",
      help: "a multiple of 8 (default: the model's, 1024 for SDXL)",
      parse: numberOr,
    },
    {
      ...REQUEST,
      key: "numInferenceSteps",
      flags: "-s, --steps <count>",
      help: "denoising steps (default: 50; a few-step model or LoRA has its own)",
      parse: numberOr,
    },
    {
      ...REQUEST,
      key: "guidanceScale",
      flags: "-g, --guidance-scale <number>",
      help: "how closely to follow the text; 1 is without guidance (default: 5, or the few-step model's)",
      parse: numberOr,
    },
    {
      ...REQUEST,
      key: "guidanceRescale",
      flags: "--guidance-rescale <number>",
      help: "0 to 1, against overexposure (default: 0)",
      parse: numberOr,
    },
    {
      ...REQUEST,
      key: "guidanceEnd",
      flags: "--guidance-end <share>",
      help: "0 to 1: after this share of the steps no guidance, so half the work a step (default: 1)",
      parse: numberOr,
    },
    {
      ...REQUEST,
      key: "startMergeStep",
      flags: "--start-merge-step <step>",
      help: "step after which the person comes in; -1 is from the start (see below)",
      parse: numberOr,
    },
    {
      ...REQUEST,
      key: "styleStrength",
      flags: "--style-strength <percent>",
      help: "the same as a share of the steps (default: 20; see below)",
      parse: numberOr,
    },
    { ...REQUEST, key: "scheduler", flags: "--scheduler <name>", help: `${SAMPLER_NAMES.join(", ")} (default: the model's)` },
    {
      ...REQUEST,
      key: "timestepSpacing",
      flags: "--timestep-spacing <name>",
      help: `${TIMESTEP_SPACINGS.join(", ")} (default: the model's)`,
    },
    {
      ...REQUEST,
      key: "eta",
      flags: "--eta <number>",
      help: "noise of ddim, gamma of tcd, 0 to 1 (default: 0, or the few-step model's)",
      parse: numberOr,
    },
    {
      ...REQUEST,
      key: "seed",
      flags: "--seed <number>",
      help: "same seed, same picture, also as in diffusers (default: random, and told)",
      parse: numberOr,
    },
    {
      ...REQUEST,
      key: "generatorDevice",
      flags: "--generator-device <name>",
      help: "cpu or cuda: a diffusers script's torch.Generator (default: cpu)",
    },
    {
      ...REQUEST,
      key: "numImagesPerPrompt",
      flags: "--num-images <count>",
      help: "pictures to make at once (default: 1)",
      parse: numberOr,
    },
    {
      ...REQUEST,
      key: "clipSkip",
      flags: "--clip-skip <layers>",
      help: "text encoder layers to leave out beyond SDXL's one (default: 0)",
      parse: numberOr,
    },
  ],
  "What SDXL is told about sizes:": [
    {
      ...REQUEST,
      key: "originalSize",
      flags: "--original-size <WxH>",
      help: "size that the picture seems to have had (default: its size)",
      parse: heightAndWidth,
    },
    {
      ...REQUEST,
      key: "targetSize",
      flags: "--target-size <WxH>",
      help: "size that it should have (default: its size)",
      parse: heightAndWidth,
    },
    {
      ...REQUEST,
      key: "cropsCoordsTopLeft",
      flags: "--crops-coords-top-left <Y,X>",
      help: "where it seems to be cut out (default: 0,0)",
      parse: topAndLeft,
    },
    {
      ...REQUEST,
      key: "negativeOriginalSize",
      flags: "--negative-original-size <WxH>",
      help: "the same for the negative prompt; counts only with",
      parse: heightAndWidth,
    },
    {
      ...REQUEST,
      key: "negativeTargetSize",
      flags: "--negative-target-size <WxH>",
      help: "this one (default: as the positive ones)",
      parse: heightAndWidth,
    },
    {
      ...REQUEST,
      key: "negativeCropsCoordsTopLeft",
      flags: "--negative-crops-coords-top-left <Y,X>",
      help: "(default: 0,0)",
      parse: topAndLeft,
    },
  ],
  "How to run:": [
    { ...LOAD, key: "device", flags: "--device <name>", help: "auto, cpu, cuda, webgpu (default: auto, which is cpu)" },
    {
      ...LOAD,
      key: "precision",
      flags: "--precision <name>",
      help: "auto, f32, f16 (graphics cards only), int8 (processor only); default: auto: int8 for large models on the processor",
    },
    {
      ...REQUEST,
      key: "decoder",
      flags: "--decoder <name>",
      help: "vae, or tiny-vae: far quicker, a little less sharp; needs --tiny-vae (default: vae)",
    },
    {
      ...LOAD,
      key: "threads",
      flags: "--threads <count>",
      help: "of the processor (default: chosen by the runtime)",
      parse: numberOr,
    },
  ],
  "Faster, and not quite the same picture:": [
    {
      ...REQUEST,
      key: "deepCache",
      flags: "--deep-cache <interval>",
      help: "DeepCache: the whole UNet at every so many evaluations, its outer layers at the others; 2 to 5 (default: off)",
      parse: numberOr,
    },
    {
      ...REQUEST,
      key: "tGate",
      flags: "--t-gate <step>",
      help: "T-GATE: from this evaluation on no guidance, and the text is not looked at again; half of the steps or more (default: off)",
      parse: numberOr,
    },
    {
      ...REQUEST,
      key: "tokenDownsampling",
      flags: "--token-downsampling <factor>",
      help: "ToDo: pixels of large pictures look at every so-many-th other, down and across; 2 or 3, for 1024x1024 or more (default: off)",
      parse: numberOr,
    },
  ],
  "Input and output:": [
    {
      ...OUTPUT,
      key: "out",
      flags: "-o, --out <path>",
      help: "folder for image_0.png, image_1.png … (numbers go on where a folder ends), or one file.png, which is replaced, or - for stdout (default: out)",
    },
    {
      ...OUTPUT,
      key: "saveLatents",
      flags: "--save-latents <file>",
      help: "write initial_noise and the final latents as safetensors",
    },
    {
      ...REQUEST,
      key: "latents",
      flags: "--latents <file>",
      help: "start from the initial_noise (or latents) of a safetensors file, not from the seed",
      isPath: true,
    },
    {
      ...REQUEST,
      key: "preview",
      flags: "--preview",
      help: "keep a preview_0.png … of the pictures as they stand in the folder: small, or in full size with --tiny-vae",
    },
    { ...OUTPUT, key: "json", flags: "--json", help: "print one JSON object: paths, seeds, settings, times; or the error" },
    { ...OUTPUT, key: "quiet", flags: "-q, --quiet", help: "no progress" },
  ],
};

export const ALL_FLAGS: readonly Flag[] = Object.values(GENERATE_FLAGS).flat();

/** `--prompt-2` of "--prompt-2 <text>". */
export const longName = ({ flags }: Flag): string => /--[\w-]+/.exec(flags)![0];

export const isList = ({ flags }: Flag): boolean => flags.includes("...");

/** The name that commander gives: `prompt2` for `--prompt-2`. Underscores are treated as dashes. */
export const camelCase = (name: string): string =>
  name.replace(/^-+/, "").replace(/[-_]+([a-z0-9])/gi, (_, letter: string) => letter.toUpperCase());
