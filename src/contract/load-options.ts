import { z } from "zod";
import { PREDICTIONS } from "../weights/prediction-names.ts";

const path = z.string().min(1);
const strength = z.number().min(-100).max(100).default(1);

const MODELS = "Models:";
const RUN = "How to run:";

const loadOptions = z.strictObject({
  /** An SDXL model: a diffusers folder, a single file, or a repository of the hub. */
  model: path.meta({
    group: MODELS,
    flag: "--model",
    short: "-m",
    value: "path",
    file: true,
    description: "SDXL model: a diffusers folder, a .safetensors file, or org/name on the Hugging Face hub",
    otherwise: "the one that photomaker setup has chosen",
    hint: "Name an SDXL model: a diffusers folder, a .safetensors file, or a repository of the Hugging Face hub.",
    infotext: "Model",
  }),
  /** Folder with the configs of the components of a single-file model. */
  modelConfig: path.optional().meta({
    group: MODELS,
    flag: "--model-config",
    value: "folder",
    file: true,
    description: "folder with the configs of a single-file model",
    otherwise: "those beside it",
  }),
  /** What the model predicts, if its files do not say, or say it wrongly. */
  prediction: z.enum(PREDICTIONS).optional().meta({
    group: MODELS,
    flag: "--prediction",
    value: "name",
    description: "what the model predicts: epsilon, v, edm-v (as CosXL), edm (as Playground 2.5)",
    otherwise: "what its files say",
    hint: "A v-prediction model is v; one like CosXL edm-v; one like Playground 2.5 edm; any usual SDXL epsilon.",
  }),
  /** Whether the model was trained with zero terminal SNR (ztsnr); velocity alone can be. */
  zeroTerminalSnr: z.boolean().optional().meta({
    group: MODELS,
    flag: "--zero-terminal-snr",
    description: "the model predicts v and was trained with zero terminal SNR (zsnr, ztsnr)",
    otherwise: "what its files say",
  }),
  // Parts of the model given apart: each a component's folder, a file in any layout, a whole model that has it, or a repository of the hub.
  /** VAE in the place of the model's own. */
  vae: path.optional().meta({
    group: MODELS,
    flag: "--vae",
    value: "path",
    file: true,
    description: "VAE in the place of the model's own: a file, a folder, a model that has it, or org/name",
    infotext: "VAE",
  }),
  /** UNet in the place of the model's own. */
  unet: path.optional().meta({
    group: MODELS,
    flag: "--unet",
    value: "path",
    file: true,
    description: "UNet in the place of the model's own, as --vae",
    infotext: "UNet",
  }),
  /** First text encoder (CLIP ViT-L) in the place of the model's own. */
  textEncoder: path.optional().meta({
    group: MODELS,
    flag: "--text-encoder",
    value: "path",
    file: true,
    description: "first text encoder (CLIP ViT-L) in the place of the model's own, as --vae",
    infotext: "Text encoder",
  }),
  /** Second text encoder (OpenCLIP bigG) in the place of the model's own. */
  textEncoder2: path.optional().meta({
    group: MODELS,
    flag: "--text-encoder-2",
    value: "path",
    file: true,
    description: "second text encoder (OpenCLIP bigG) in the place of the model's own, as --vae",
    infotext: "Text encoder 2",
  }),
  /** A PhotoMaker adapter: a file, a folder, or a repository of the hub. Plain SDXL when absent. */
  adapter: path.optional().meta({
    group: MODELS,
    flag: "--adapter",
    short: "-a",
    value: "path",
    file: true,
    description: "PhotoMaker V1 or V2 adapter: a file, a folder or org/name; without it, plain SDXL",
    infotext: "PhotoMaker",
  }),
  /** Strength of the adapter's LoRA. */
  adapterScale: strength.meta({
    group: MODELS,
    flag: "--adapter-scale",
    value: "number",
    description: "strength of the adapter's LoRA",
  }),
  loras: z
    .array(
      z.strictObject({
        path,
        scale: strength,
        /** How much of it each block takes: 12 or 20 numbers, as sd-webui-lora-block-weight has them for SDXL. */
        blocks: z.array(z.number().min(-100).max(100)).optional(),
      }),
    )
    .default([])
    .meta({
      group: MODELS,
      flag: "--lora",
      value: "path:scale...",
      file: true,
      description: "LoRA files and their strengths (default strength: 1); of each block behind :lbw=, 12 or 20 numbers",
      infotext: "Lora",
    }),
  /** Where `<lora:name:0.8>` of a prompt is looked for, by the command line: of what is loaded, `loras` alone says which LoRAs. */
  loraFolder: path.optional().meta({
    group: MODELS,
    flag: "--lora-folder",
    value: "folder",
    file: true,
    description: "where <lora:name:0.8> of a prompt is found: name.safetensors, also in folders below",
  }),
  /** Textual inversions, for `embedding:name` in prompts: files, and folders of them. */
  embeddings: z.array(path).optional().meta({
    group: MODELS,
    flag: "--embeddings",
    value: "paths...",
    file: true,
    description: "textual inversions for embedding:name in prompts: files, or folders of them",
  }),
  /** A tiny autoencoder (TAESD) for the model's latents: a diffusers folder, a decoder file, or a repository of the hub. */
  tinyVae: path.optional().meta({
    group: MODELS,
    flag: "--tiny-vae",
    value: "path",
    file: true,
    description: "tiny autoencoder (TAESD) for previews, and for --decoder tiny-vae: madebyollin/taesdxl, a folder or a file",
  }),
  /** The word that marks the class word before it. */
  triggerWord: z
    .string()
    .regex(/^\S+$/)
    .default("img")
    .meta({ group: MODELS, flag: "--trigger-word", value: "word", description: "the word that marks the person" }),
  device: z.enum(["auto", "cpu", "cuda", "webgpu"]).default("auto").meta({
    group: RUN,
    flag: "--device",
    value: "name",
    description: "auto, cpu, cuda, webgpu",
    otherwise: "auto, which is cpu",
  }),
  /**
   * f32 is the reference's. int8, on the processor, computes linear layers in 8 bits with a third of the time and memory. f16, on graphics cards,
   * computes in half precision, except for norms, softmax, time embeddings and the VAE.
   */
  precision: z.enum(["auto", "f32", "f16", "int8"]).default("auto").meta({
    group: RUN,
    flag: "--precision",
    value: "name",
    description: "auto, f32, f16 (graphics cards only), int8 (processor only)",
    otherwise: "auto: int8 for large models on the processor",
  }),
  threads: z.int().min(1).max(1024).optional().meta({
    group: RUN,
    flag: "--threads",
    value: "count",
    description: "processor threads",
    otherwise: "chosen by the runtime",
  }),
  /** Whether to unload each model after its use, so that about one at a time is in memory: for single pictures on small machines. */
  unloadAfterUse: z.boolean().default(false).meta({
    group: RUN,
    description: "unload each model after its use, so that about one at a time is in memory",
  }),
  /** Bytes of encoded texts and photos that are cached for later requests; a text of SDXL takes 0.6 MB, a photo 8 or 16 KB. 0 caches none. */
  encodingCacheBytes: z
    .int()
    .min(0)
    .default(64 * 2 ** 20)
    .meta({ group: RUN, description: "bytes of encoded texts and photos that are cached for later requests; 0 caches none" }),
});

/** Checked options of loading, with their defaults: which models to run, and how. */
export type LoadOptions = z.output<typeof loadOptions>;
export type LoadInput = z.input<typeof loadOptions>;
export const LoadOptions = loadOptions;
