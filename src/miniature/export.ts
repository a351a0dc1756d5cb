import { join } from "node:path";
import { writeFileAtomically } from "../core/atomic-file.node.ts";
import { floatsToHalves } from "../core/floats.ts";
import { makeFolder } from "../core/make-folder.node.ts";
import { DRAWN_FACES } from "../faces/networks/open-drawn.node.ts";
import { readFloats, type Tensors, type TensorToWrite, withoutPrefix, writeSafetensors } from "../weights/index.ts";
import {
  DRAWN_FACES_CONFIG,
  SCHEDULER_CONFIG,
  SHARP_CONFIG,
  textConfig,
  UNET_CONFIG,
  VAE_CONFIG,
  VISION_CONFIG,
} from "./configs.ts";
import { SHARP_PREFIX } from "./sharp-task.ts";
import { TOKENIZER_FOLDER } from "./text.ts";

export interface TrainedParts {
  readonly vae: Tensors;
  /** Factor on latents before the denoiser. */
  readonly scalingFactor: number;
  /** Base model; names begin with `text_encoder.`, `text_encoder_2.` or `unet.`. */
  readonly base: Tensors;
  /** Vision transformer; names begin with `vision_model.`. */
  readonly vision: Tensors;
  /** Adapter; names begin with `id_encoder.` or `unet.`. */
  readonly adapter: Tensors;
}

/** Folder of the sharp decoder in a model folder. */
const SHARP_DECODER = "sharp_decoder";

const MODEL_INDEX = {
  _class_name: "StableDiffusionXLPipeline",
  _diffusers_version: "0.35.2",
  force_zeros_for_empty_prompt: true,
  add_watermarker: null,
  scheduler: ["diffusers", "DDIMScheduler"],
  text_encoder: ["transformers", "CLIPTextModel"],
  text_encoder_2: ["transformers", "CLIPTextModelWithProjection"],
  tokenizer: ["transformers", "CLIPTokenizer"],
  tokenizer_2: ["transformers", "CLIPTokenizer"],
  unet: ["diffusers", "UNet2DConditionModel"],
  vae: ["diffusers", "AutoencoderKL"],
};

/**
 * Writes the miniature in the form of published models: a diffusers folder in half precision, with the adapter in it.
 * @param loraStrength factor on the adapter's LoRA
 */
export async function exportMiniature(folder: string, parts: TrainedParts, loraStrength = 1): Promise<void> {
  const { ids, files } = TOKENIZER_FOLDER;
  const json = (path: string, value: unknown): Promise<void> => writeJson(join(folder, path), value);
  for (const name of ["scheduler", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "unet", "vae"])
    await makeFolder(join(folder, name));
  await json("model_index.json", MODEL_INDEX);
  await json("scheduler/scheduler_config.json", SCHEDULER_CONFIG);
  await json("unet/config.json", UNET_CONFIG);
  await json("vae/config.json", { ...VAE_CONFIG, scaling_factor: parts.scalingFactor });
  for (const which of [0, 1] as const) {
    await json(`text_encoder${which === 0 ? "" : "_2"}/config.json`, textConfig(which, ids));
    for (const [name, content] of Object.entries(files))
      await text(join(folder, `tokenizer${which === 0 ? "" : "_2"}`, name), content);
  }
  const weights = async (path: string, tensors: Iterable<TensorToWrite>): Promise<void> =>
    writeSafetensors(join(folder, path), tensors);
  await weights("vae/diffusion_pytorch_model.safetensors", halves(parts.vae));
  await weights("unet/diffusion_pytorch_model.safetensors", halves(withoutPrefix(parts.base, "unet.")));
  for (const name of ["text_encoder", "text_encoder_2"])
    await weights(`${name}/model.safetensors`, halves(withoutPrefix(parts.base, `${name}.`)));
  await exportAdapter(folder, parts, loraStrength);
}

/**
 * Writes the adapter as `photomaker-v1.safetensors` with its `photomaker-config.json`.
 * @param loraStrength factor on its LoRA
 * @returns the adapter's path
 */
export async function exportAdapter(
  folder: string,
  parts: Pick<TrainedParts, "vision" | "adapter">,
  loraStrength = 1,
): Promise<string> {
  await makeFolder(folder);
  await writeJson(join(folder, "photomaker-config.json"), { miniature: { vision: VISION_CONFIG } });
  const vision = [...parts.vision.keys()].filter((name) => name.startsWith("vision_model."));
  const path = join(folder, "photomaker-v1.safetensors");
  await writeSafetensors(path, [
    ...halves(new Map(vision.map((name) => [`id_encoder.${name}`, parts.vision.get(name)!]))),
    ...halves(
      new Map([...parts.adapter].map(([name, entry]) => [name.startsWith("unet.") ? `lora_weights.${name}` : name, entry])),
      (name) => (name.endsWith(".lora_B.weight") ? loraStrength : 1),
    ),
  ]);
  return path;
}

/** Writes the sharp decoder beside the VAE of a finished miniature; diffusers does not look at it. @param weights as its stage names them */
export async function exportSharpDecoder(folder: string, weights: Tensors): Promise<void> {
  await makeFolder(join(folder, SHARP_DECODER));
  await writeJson(join(folder, SHARP_DECODER, "config.json"), {
    _class_name: "SharpDecoder",
    block_out_channels: SHARP_CONFIG.channels,
    layers_per_block: SHARP_CONFIG.blocks,
    norm_num_groups: SHARP_CONFIG.groups,
  });
  const path = join(folder, SHARP_DECODER, "diffusion_pytorch_model.safetensors");
  await writeSafetensors(path, halves(withoutPrefix(weights, SHARP_PREFIX)));
}

/**
 * Writes the detector of drawn faces, and how faces lie in the miniature's ID images.
 * @param shipped weights that training began with
 * @param trained those that it changed
 */
export async function exportDrawnFaces(folder: string, shipped: Tensors, trained: Tensors): Promise<void> {
  await makeFolder(join(folder, DRAWN_FACES));
  await writeJson(join(folder, DRAWN_FACES, "config.json"), DRAWN_FACES_CONFIG);
  const tensors = new Map([...shipped].map(([name, entry]) => [name, trained.get(name) ?? entry]));
  await writeSafetensors(join(folder, DRAWN_FACES, "detector.safetensors"), halves(tensors));
}

const halves = (tensors: Tensors, factor: (name: string) => number = () => 1): TensorToWrite[] =>
  [...tensors].map(([name, entry]) => ({
    name,
    dtype: "F16",
    shape: entry.shape,
    data: async () => floatsToHalves(multiplied(await readFloats(entry), factor(name))),
  }));

const multiplied = (values: Float32Array, factor: number): Float32Array =>
  factor === 1 ? values : values.map((v) => v * factor);

const writeJson = (path: string, value: unknown): Promise<void> => text(path, `${JSON.stringify(value, null, 2)}\n`);

const text = (path: string, content: string): Promise<void> =>
  writeFileAtomically(path, (sink) => sink.write(new TextEncoder().encode(content)));
