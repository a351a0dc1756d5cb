import type { FloatArray } from "../core/array.ts";
import { Checkpoint } from "../graph/checkpoint.ts";
import { add, mul, sub } from "../graph/ops/elementwise.ts";
import { constant, input } from "../graph/ops/source.ts";
import type { Shape, Tensor } from "../graph/tensor.ts";
import { Weights } from "../graph/weights.ts";
import { type VaeConfig, vaeDecode, vaeEncode } from "../models/vae.ts";
import { vaeConfig } from "../models/vae-config.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { ModelComponent } from "../weights/model.ts";
import type { Outputs } from "./graphs.ts";

/** Config and weights of a VAE. */
export type VaeFiles = Pick<ModelComponent, "config" | "tensors" | "latents">;

/** Graph of the VAE's encoder. */
export interface VaeEncoderGraph {
  /** `mean` [B, C, H/f, W/f], and `latents`, the mean in the denoiser's scale; input `pixels` [B, 3, H, W] in [-1, 1]. */
  readonly encode: Outputs<"mean" | "latents">;
  readonly config: VaeConfig;
  /** Pixels for each latent, along a side. */
  readonly factor: number;
}

/**
 * @param shape of the pixels: [B, 3, H, W]
 * @throws UserError model/config, model/config-needed, weights/missing, weights/shape
 */
export function vaeEncoderGraph(vae: VaeFiles, shape: Shape): VaeEncoderGraph {
  const { mean, config } = meanOf(vae, shape);
  const { latentsMean, latentsStd, scalingFactor } = config;
  const perChannel = (values: readonly number[]): Tensor => constant(values, [1, values.length, 1, 1]);
  const latents =
    latentsMean === undefined || latentsStd === undefined
      ? mul(add(mean, -config.shiftFactor), scalingFactor)
      : mul(sub(mean, perChannel(latentsMean)), perChannel(latentsStd.map((deviation) => scalingFactor / deviation)));
  return { encode: { mean, latents }, config, factor: 2 ** (config.channels.length - 1) };
}

/** Graph of encoder and decoder: output `rebuilt` [B, 3, H, W]; input `pixels` as above. */
export function autoencoderGraph(vae: VaeFiles, shape: Shape): Outputs<"rebuilt"> {
  const { mean, config, weights } = meanOf(vae, shape);
  return { rebuilt: vaeDecode(mean, weights, config) };
}

function meanOf(
  { config: json, tensors, latents }: VaeFiles,
  shape: Shape,
): { mean: Tensor; config: VaeConfig; weights: Weights } {
  const config = vaeConfig(json, tensors, latents);
  const weights = new Weights(new Checkpoint(tensors, "vae"));
  return { mean: vaeEncode(input("pixels", shape), weights, config).mean, config, weights };
}

/** Opens an encoder of batches of pictures. @returns a function that gives values [B, C, H/f, W/f] of the named output */
export async function openVaeEncoder(
  runtime: Runtime,
  { encode }: VaeEncoderGraph,
  output: "mean" | "latents",
): Promise<(pixels: FloatArray) => Promise<Float32Array>> {
  const session = await runtime.load({ [output]: encode[output] });
  return async (pixels) => (await session.run({ pixels }))[output]!.data as Float32Array;
}
