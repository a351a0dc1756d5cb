import { Checkpoint } from "../../graph/checkpoint.ts";
import { betweenBlocks } from "../../graph/checkpointing.ts";
import { widenAtUse } from "../../graph/ops/after.ts";
import { mul } from "../../graph/ops/elementwise.ts";
import { concat, reshape } from "../../graph/ops/layout.ts";
import { input } from "../../graph/ops/source.ts";
import { rewrite } from "../../graph/rewrite.ts";
import { fixedSize, type Tensor } from "../../graph/tensor.ts";
import { type WeightSource, Weights } from "../../graph/weights.ts";
import { clipText } from "../../models/clip-text.ts";
import { type ClipTextModelConfig, clipTextConfig } from "../../models/clip-text-config.ts";
import { idEncoderV1 } from "../../models/id-encoder-v1.ts";
import { unet } from "../../models/unet.ts";
import { unetConfig } from "../../models/unet-config.ts";
import type { ModelFiles } from "../../weights/index.ts";
import { diffusionInputs, diffusionLoss, type Prediction } from "../diffusion.ts";
import { stackTokens } from "../stack-tokens.ts";
import { trainableLora } from "../trainable-lora.ts";
import { TrainableWeights } from "../trainable-weights.ts";
import type { AdapterConfig } from "./config.ts";
import type { StartWeights } from "./start.ts";

/** Attention projections, where PhotoMaker has its LoRA. */
const ATTENTION = /\.attn[12]\.(to_[qkv]|to_out\.0)\.weight$/;

export interface AdapterGraph {
  readonly weights: TrainableWeights;
  readonly loss: Tensor;
  readonly plain: Tensor;
  readonly kept: ReadonlySet<Tensor>;
}

export interface AdapterGraphOptions {
  readonly config: AdapterConfig;
  readonly prediction: Prediction;
  readonly latents: { readonly channels: number; readonly side: number };
  /** Tokens per prompt. */
  readonly positions: number;
}

export const textSettings = ({ components }: ModelFiles): readonly [ClipTextModelConfig, ClipTextModelConfig] => [
  clipTextConfig(components.text_encoder.config, components.text_encoder.tensors, "text_encoder"),
  clipTextConfig(components.text_encoder_2.config, components.text_encoder_2.tensors, "text_encoder_2"),
];

/**
 * PhotoMaker's training graph (arXiv 2312.04461, sections 3.2 and 4): from ID images, prompt, noise and latents to the loss.
 * Inputs, besides those of {@link diffusionInputs}: `ids`, `ids2` [B, T] and `endAt` [B] of the prompts with their class words repeated,
 * `places` [B, T, N] with 1 where ID image n takes token t, `pixels` [B · N, 3, image, image], `keep` [B, 1] with 0 where the text is
 * dropped, `timeIds` [B, 6].
 */
export function adapterGraph(model: ModelFiles, start: StartWeights, options: AdapterGraphOptions): AdapterGraph {
  const { config, prediction, latents, positions } = options;
  const { batch, idImages } = config;
  const { components } = model;
  const weights = new TrainableWeights();
  const frozen = (name: "unet" | "text_encoder" | "text_encoder_2"): Checkpoint => new Checkpoint(components[name].tensors, name);

  const endAt = input("endAt", [batch], "i64");
  const [one, two] = textSettings(model).map((settings, i) => {
    const ids = input(i === 0 ? "ids" : "ids2", [batch, positions], "i64");
    return clipText({ ids, pooledAt: endAt }, new Weights(frozen(i === 0 ? "text_encoder" : "text_encoder_2")), settings);
  });
  const context = concat([one!.hiddenStates.at(-2)!, two!.hiddenStates.at(-2)!], -1);
  const projections = [one!, two!].map(({ hiddenStates }) => fixedSize(hiddenStates[0]!, -1)) as [number, number];

  const id = new Weights(idWeights(weights.part("id_encoder."), start, config));
  const { image } = start.vision;
  const pixels = input("pixels", [batch * idImages, 3, image, image]);
  const width = projections[0] + projections[1];
  const tokens = reshape(idEncoderV1(pixels, id, { vision: start.vision, projections }), [batch * idImages, width]);
  const stacked = stackTokens(context, input("places", [batch, positions, idImages]), tokens, id.at("fuse_module"));

  const keep = input("keep", [batch, 1]);
  const diffusion = diffusionInputs([batch, latents.channels, latents.side, latents.side], prediction);
  const inputs = {
    latents: diffusion.noisy,
    timestep: diffusion.timestep,
    context: mul(stacked, reshape(keep, [batch, 1, 1])),
    pooled: mul(two!.pooled!, keep),
    timeIds: input("timeIds", [batch, 6]),
  };
  const noise = unet(inputs, new Weights(frozen("unet")), unetConfig(components.unet.config, components.unet.tensors));
  const [adapted] = rewrite([noise], trainableLora(weights.part("unet."), config.loraRank, ATTENTION));
  const { loss, plain } = diffusionLoss(adapted!, diffusion);
  const [late, latePlain] = rewrite([loss, plain], (t) => widenAtUse(t)) as [Tensor, Tensor];
  return { weights, loss: late, plain: latePlain, kept: betweenBlocks([late], blockOf) };
}

/** The block of a weight: a residual or transformer block of the UNet, a layer of an encoder. */
const blockOf = (path: string): string | undefined =>
  /^(?:unet\.|id_encoder\.)?(.*?(?:resnets|transformer_blocks|samplers|layers)\.\d+)\./.exec(path)?.[1];

/** Trains projections, fuse MLPs and the last layers of the vision transformer; all of it if it is randomly initialised. */
function idWeights(trained: TrainableWeights, { frozen, vision }: StartWeights, { visionLayers }: AdapterConfig): WeightSource {
  const files = new Checkpoint(frozen, "the vision model to start from");
  const isFrozen = (path: string): boolean => {
    if (frozen.size === 0 || !path.startsWith("vision_model.")) return false;
    const layer = /^vision_model\.encoder\.layers\.(\d+)\./.exec(path)?.[1];
    if (layer !== undefined) return Number(layer) < vision.layers - visionLayers;
    return visionLayers === 0 || !path.startsWith("vision_model.post_layernorm.");
  };
  return { param: (path, shape, init) => (isFrozen(path) ? files : trained).param(path, shape, init) };
}
