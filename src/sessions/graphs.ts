import { type FloatArray, floats } from "../core/array.ts";
import { Checkpoint } from "../graph/checkpoint.ts";
import { namedDim } from "../graph/dim.ts";
import { type LoraPair, lora, scaleOf } from "../graph/lora.ts";
import { input } from "../graph/ops/source.ts";
import { Recorder } from "../graph/recorder.ts";
import { rewriteNamed } from "../graph/rewrite.ts";
import type { Tensor } from "../graph/tensor.ts";
import { Weights } from "../graph/weights.ts";
import { clipText } from "../models/clip-text.ts";
import { type ClipTextModelConfig, clipTextConfig, type TextEncoderName } from "../models/clip-text-config.ts";
import { fuse } from "../models/fuse.ts";
import { faceEmbeddingWidth, idEncoderV1Config, idEncoderV2Config } from "../models/id-encoder-config.ts";
import { idEncoderV1 } from "../models/id-encoder-v1.ts";
import { idEncoderV2 } from "../models/id-encoder-v2.ts";
import { tinyDecode } from "../models/tiny-autoencoder.ts";
import { tinyAutoencoderConfig } from "../models/tiny-autoencoder-config.ts";
import { unet, unetInputs } from "../models/unet.ts";
import { type UNetModelConfig, unetConfig } from "../models/unet-config.ts";
import { type VaeConfig, vaeDecode, vaeEncode } from "../models/vae.ts";
import { vaeConfig } from "../models/vae-config.ts";
import type { AdapterFiles } from "../weights/adapter.ts";
import type { ModelComponent } from "../weights/model.ts";
import { type ComponentName, isIgnored } from "../weights/sdxl-single-file.ts";
import { elementCount, type Tensors } from "../weights/tensor-entry.ts";
import type { TinyVaeFiles } from "../weights/tiny-vae.ts";

/** LoRA pairs of each component, by weight path. */
export type LoraPairs = ReadonlyMap<ComponentName, ReadonlyMap<string, readonly LoraPair[]>>;

/** A graph without its LoRAs, and the LoRAs: the input of preparing weights. */
export interface Unfinished<Name extends string = string> {
  readonly outputs: Outputs<Name>;
  readonly pairs: ReadonlyMap<string, readonly LoraPair[]>;
}

export const NO_PAIRS: Unfinished["pairs"] = new Map();

export type Outputs<Name extends string = string> = Readonly<Record<Name, Tensor>>;

const batch = namedDim("batch");
const tokens = namedDim("tokens");
const height = namedDim("height");
const width = namedDim("width");

/** Adds LoRAs to a graph over a component's weights. @param scalesAreInputs true so that strengths can change while it is loaded, see {@link loraScales} */
export const withLoras = <Name extends string>(
  outputs: Outputs<Name>,
  pairs: Unfinished["pairs"],
  scalesAreInputs = false,
): Outputs<Name> => rewriteNamed(outputs, lora(pairs, new Set(), scalesAreInputs));

/** The feeds of a graph whose LoRAs' scales are inputs. */
export const loraScales = (pairs: Unfinished["pairs"]): Readonly<Record<string, FloatArray>> =>
  Object.fromEntries(
    [...pairs.values()]
      .flat()
      .flatMap(({ group, scale }) => (group === undefined ? [] : [[scaleOf(group), floats(Float32Array.of(scale), 1)]])),
  );

/** Pairs a graph with its LoRAs. @throws Error if a LoRA's layer is in the weights and not in the graph */
function unfinished<Name extends string>(name: ComponentName, outputs: Outputs<Name>, loras: LoraPairs): Unfinished<Name> {
  const pairs = loras.get(name) ?? NO_PAIRS;
  const used = new Set<string>();
  rewriteNamed(outputs, lora(pairs, used));
  const missed = [...pairs.keys()].filter((path) => !used.has(path));
  if (missed.length > 0) throw new Error(`no layer of ${name} multiplies by ${missed.join(", ")}`);
  return { outputs, pairs };
}

/** A model, as far as a graph needs it. */
type With<Name extends ComponentName> = { readonly components: Readonly<Record<Name, ModelComponent>> };

export interface TextGraph {
  /** `hidden_N` [B, S, C] for the input and each layer, and `pooled` [B, P]; inputs `ids` [B, S], `pooledAt` [B]. */
  readonly unfinished: Unfinished;
  readonly config: ClipTextModelConfig;
  /** Whether it has the inputs `given` [B, S, C] and `keep` [B, S, 1]: vectors that stand in the place of tokens. */
  readonly takesVectors?: boolean;
  /** Names of tensors that the encoder has no place for. */
  readonly unused: readonly string[];
}

/** @param takesVectors for textual inversions */
export function textGraph<Name extends TextEncoderName>(
  model: With<Name>,
  name: Name,
  loras: LoraPairs,
  takesVectors = false,
): TextGraph {
  const { config: json, tensors } = model.components[name];
  const config = clipTextConfig(json, tensors, name);
  const inputs = {
    ids: input("ids", [batch, tokens], "i64"),
    pooledAt: input("pooledAt", [batch], "i64"),
    ...(takesVectors && { given: input("given", [batch, tokens, config.width]), keep: input("keep", [batch, tokens, 1]) }),
  };
  const checkpoint = new Checkpoint(tensors, name);
  const { hiddenStates, pooled } = clipText(inputs, new Weights(checkpoint), config);
  const outputs: Record<string, Tensor> = Object.fromEntries(hiddenStates.map((h, i) => [`hidden_${i}`, h]));
  if (name === "text_encoder_2" && pooled !== undefined) outputs.pooled = pooled;
  // SDXL's pooled vector is the second encoder's
  const unused = checkpoint.unused().filter((path) => name === "text_encoder_2" || path !== "text_projection.weight");
  return { unfinished: unfinished(name, outputs, loras), config, takesVectors, unused };
}

export interface IdGraph {
  /** `tokens` [N, perPhoto, D]; inputs `pixels` [N, 3, image, image] and, for V2, `faces` [N, faceWidth]. */
  readonly encode: Outputs<"tokens">;
  /** `fused` [M, D]; inputs `classEmbeds` and `idTokens` [M, D]. */
  readonly fuse: Outputs<"fused">;
  readonly tokensPerPhoto: number;
  /** Width of a token, which is the context's. */
  readonly width: number;
  readonly image: number;
  /** Width of the face embeddings, 0 for V1. */
  readonly faceWidth: number;
  /** Names of tensors that the ID encoder has no place for. */
  readonly unused: readonly string[];
}

/** What a published V2 adapter has, and its encoder, which takes the tokens before them, does not use. */
const UNUSED_IN_V2 = /^(vision_model\.post_layernorm|visual_projection(_2)?)\./;

/** Builds the graphs of an adapter's ID encoder. @param config content of `photomaker-config.json` beside the adapter, if any */
export function idGraph({ version, idEncoder }: AdapterFiles, config: unknown, contextDim: number): IdGraph {
  const checkpoint = new Checkpoint(idEncoder, "the adapter's ID encoder");
  const weights = new Weights(checkpoint);
  const unused = (): string[] =>
    checkpoint.unused().filter((name) => !isIgnored(name) && !(version === "v2" && UNUSED_IN_V2.test(name)));
  const rows = [namedDim("rows"), contextDim];
  const fused = fuse(input("classEmbeds", rows), input("idTokens", rows), weights.at("fuse_module"));
  const pixels = (image: number): Tensor => input("pixels", [batch, 3, image, image]);
  if (version === "v1") {
    const sizes = idEncoderV1Config(idEncoder, config);
    const { image } = sizes.vision;
    const encoded = idEncoderV1(pixels(image), weights, sizes);
    return {
      encode: { tokens: encoded },
      fuse: { fused },
      tokensPerPhoto: 1,
      width: contextDim,
      image,
      faceWidth: 0,
      unused: unused(),
    };
  }
  const sizes = idEncoderV2Config(idEncoder, config);
  const { image } = sizes.vision;
  const faceWidth = faceEmbeddingWidth(idEncoder);
  const encoded = idEncoderV2(pixels(image), input("faces", [batch, faceWidth]), weights, sizes);
  return {
    encode: { tokens: encoded },
    fuse: { fused },
    tokensPerPhoto: sizes.tokens,
    width: contextDim,
    image,
    faceWidth,
    unused: unused(),
  };
}

export interface UNetGraph {
  /** `noise` [B, C, h, w]; inputs as {@link unet} names them. */
  readonly unfinished: Unfinished<"noise">;
  readonly config: UNetModelConfig;
  /** Names of tensors that the UNet has no place for. */
  readonly unused: readonly string[];
}

export function unetGraph(model: With<"unet">, loras: LoraPairs): UNetGraph {
  const { config: json, tensors } = model.components.unet;
  const config = unetConfig(json, tensors);
  const checkpoint = new Checkpoint(tensors, "unet");
  const noise = unet(unetInputs(config), new Weights(checkpoint), config);
  return { unfinished: unfinished("unet", { noise }, loras), config, unused: checkpoint.unused() };
}

/** Graph of a decoder: the VAE, or a tiny autoencoder in its place. */
export interface DecoderGraph {
  /** `picture` [B, 3, f·h, f·w]; input `latents` [B, C, h, w], already divided by the scaling factor. */
  readonly decode: Outputs<"picture">;
  readonly config: {
    readonly imageChannels: number;
    readonly latentChannels: number;
    readonly scalingFactor: number;
    readonly shiftFactor: number;
    readonly latentsMean?: readonly number[];
    readonly latentsStd?: readonly number[];
  };
  /** Pixels for each latent, along a side. */
  readonly factor: number;
  /** Number of parameters of the decoder. */
  readonly parameters: number;
  /** Channels of the last block, which computes at the picture's size. */
  readonly channels: number;
  /** Names of tensors that neither decoder nor encoder has a place for. */
  readonly unused: readonly string[];
}

export function vaeGraph(model: With<"vae">): DecoderGraph {
  const { config: json, tensors, latents: scale } = model.components.vae;
  const config = vaeConfig(json, tensors, scale);
  const latents = input("latents", [batch, config.latentChannels, height, width]);
  const checkpoint = new Checkpoint(tensors, "vae");
  const picture = vaeDecode(latents, new Weights(checkpoint), config);
  const encoder = namesOfEncoder(config);
  return {
    decode: { picture },
    config,
    factor: 2 ** (config.channels.length - 1),
    parameters: decoderParameters(tensors),
    channels: config.channels[0]!,
    unused: checkpoint.unused().filter((name) => !encoder.has(name)),
  };
}

/** Names of all that a VAE's encoder has: it is in the file for pictures to start from, and no graph here asks for it. */
function namesOfEncoder(config: VaeConfig): ReadonlySet<string> {
  const recorder = new Recorder();
  const side = 2 ** config.channels.length;
  vaeEncode(input("pixels", [1, config.imageChannels, side, side]), new Weights(recorder), config);
  return new Set(recorder.params.keys());
}

export function tinyVaeGraph({ config: json, tensors }: TinyVaeFiles): DecoderGraph {
  const config = tinyAutoencoderConfig(json, tensors);
  const latents = input("latents", [batch, config.latentChannels, height, width]);
  const checkpoint = new Checkpoint(tensors, "the tiny VAE");
  const picture = tinyDecode(latents, new Weights(checkpoint), config);
  return {
    decode: { picture },
    config,
    factor: 2 ** (config.blocks.length - 1),
    parameters: decoderParameters(tensors),
    channels: config.channels,
    unused: checkpoint.unused(),
  };
}

const decoderParameters = (tensors: Tensors): number =>
  [...tensors].reduce((sum, [name, { shape }]) => (name.startsWith("decoder.") ? sum + elementCount(shape) : sum), 0);
