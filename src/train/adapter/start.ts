import { dirname } from "node:path";
import { UserError } from "../../core/errors.ts";
import type { ClipVisionConfig } from "../../models/clip-vision.ts";
import { idEncoderV1Config } from "../../models/id-encoder-config.ts";
import { NO_LORA } from "../../weights/adapter.ts";
import {
  type AdapterFiles,
  type ModelFiles,
  openAdapter,
  openTensors,
  type TensorEntry,
  type Tensors,
} from "../../weights/index.ts";
import { matchLora } from "../../weights/lora-match.ts";
import { unwrapStateDict } from "../../weights/model.ts";
import { readJsonIfThere } from "../../weights/read-json.node.ts";
import type { AdapterConfig, VisionSizes } from "./config.ts";
import { refuseBlocks } from "./refuse-blocks.ts";

/** Initial weights of the ID encoder and the LoRA. */
export interface StartWeights {
  readonly vision: ClipVisionConfig;
  /** Weights of the vision transformer, by names such as `vision_model.…`; empty if it is randomly initialised. */
  readonly frozen: Tensors;
  /** Initial values of trained weights, by the trainer's names: `id_encoder.…`, `unet.….lora_A.weight`. */
  readonly trained: Tensors;
  /** Sizes as written to `photomaker-config.json`. */
  readonly sizes: VisionSizes;
}

/**
 * @param init a PhotoMaker V1 adapter, CLIP's vision weights as transformers stores them, or undefined to initialise at random
 * @throws UserError train/init-kind, train/no-vision, train/lora-scale, train/start-shape (another rank), adapter/config-needed, and those of
 *   openTensors and refuseBlocks
 */
export async function readStart(init: string | undefined, model: ModelFiles, config: AdapterConfig): Promise<StartWeights> {
  if (init === undefined) return randomStart(config);
  const file = await openTensors(init);
  const tensors = unwrapStateDict(file);
  refuseBlocks(tensors, file.path);
  const json = await readJsonIfThere(dirname(file.path), "photomaker-config.json");
  if ([...tensors.keys()].some((name) => name.includes("fuse_module."))) {
    const adapter = await openAdapter(init);
    if (adapter.version !== "v1") throw wrongKind(file.path, "a PhotoMaker V2 adapter");
    const encoder = withPrefix(adapter.idEncoder, "id_encoder.");
    const lora = await loraStart(adapter, model, config.loraRank);
    return { ...visionOf(adapter.idEncoder, json), frozen: adapter.idEncoder, trained: new Map([...encoder, ...lora]) };
  }
  const vision = new Map([...tensors].filter(([name]) => name.startsWith("vision_model.") && !name.endsWith("position_ids")));
  if (vision.size === 0) throw wrongKind(file.path, "neither a PhotoMaker adapter nor CLIP's vision model");
  return { ...visionOf(vision, json), frozen: vision, trained: withPrefix(vision, "id_encoder.") };
}

function randomStart({ vision }: AdapterConfig): StartWeights {
  if (vision === undefined)
    throw new UserError(
      "train/no-vision",
      "There are no weights for the ID encoder to start from.",
      'Give --init: CLIP\'s vision weights (openai/clip-vit-large-patch14) or a PhotoMaker V1 adapter; or set "vision": {} in the config to initialise it at random.',
    );
  return { vision: visionConfig(vision), frozen: new Map(), trained: new Map(), sizes: vision };
}

const visionConfig = (v: VisionSizes): ClipVisionConfig => ({
  width: v.hidden_size,
  patch: v.patch_size,
  image: v.image_size,
  layers: v.num_hidden_layers,
  heads: v.num_attention_heads,
  mlp: v.intermediate_size,
  activation: v.hidden_act,
  eps: v.layer_norm_eps,
});

function visionOf(tensors: Tensors, json: unknown): Pick<StartWeights, "vision" | "sizes"> {
  // the projections do not belong to the vision model; their widths do not matter here
  const any = { name: "", dtype: "F32", shape: [0, 0], source: { kind: "bytes", bytes: new Uint8Array() } } as const;
  const projections = ["visual_projection.weight", "visual_projection_2.weight"].map((name) => [name, any] as const);
  const { vision } = idEncoderV1Config(new Map<string, TensorEntry>([...projections, ...tensors]), json);
  const sizes: VisionSizes = {
    hidden_size: vision.width,
    intermediate_size: vision.mlp,
    num_attention_heads: vision.heads,
    num_hidden_layers: vision.layers,
    patch_size: vision.patch,
    image_size: vision.image,
    hidden_act: vision.activation,
    layer_norm_eps: vision.eps,
  };
  return { vision, sizes };
}

/** An adapter's LoRA under the trainer's names. @throws UserError train/lora-scale, train/start-shape */
async function loraStart({ path: file, lora }: AdapterFiles, model: ModelFiles, rank: number): Promise<Tensors> {
  if (lora.size === 0)
    throw new UserError(
      "adapter/incomplete",
      `${file}: ${NO_LORA}`,
      "Start from the adapter as it is published, which has both.",
    );
  const { layers, patches } = await matchLora(lora, { unet: model.components.unet.tensors });
  const [patch] = patches;
  if (patch !== undefined) throw wrongKind(file, `an adapter whose LoRA holds ${patch.method.name} (${patch.target})`);
  return new Map(
    layers.flatMap(({ path, down, up, scale }): (readonly [string, TensorEntry])[] => {
      if (scale !== 1)
        throw new UserError(
          "train/lora-scale",
          `The LoRA to start from has a scale of ${scale} at ${path}.`,
          "Start from an adapter in PhotoMaker's own form, where every scale is 1.",
        );
      const found = down.shape[0]!;
      if (found !== rank)
        throw new UserError(
          "train/start-shape",
          `${file} has a LoRA of rank ${found} (${path}), but loraRank is ${rank}.`,
          `Set "loraRank": ${found} in the config, or start from CLIP's vision weights, which have no LoRA.`,
        );
      return [
        [`unet.${path}.lora_A.weight`, down],
        [`unet.${path}.lora_B.weight`, up],
      ];
    }),
  );
}

const withPrefix = (tensors: Tensors, prefix: string): Tensors =>
  new Map([...tensors].map(([name, entry]) => [`${prefix}${name}`, entry]));

const wrongKind = (path: string, what: string): UserError =>
  new UserError(
    "train/init-kind",
    `${path} is ${what}.`,
    "Use CLIP's vision weights, such as model.safetensors of openai/clip-vit-large-patch14, or a PhotoMaker V1 adapter.",
  );
