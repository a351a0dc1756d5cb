import type { Tensor } from "../graph/tensor.ts";
import { type WeightSource, Weights } from "../graph/weights.ts";
import { type UNetConfig, unet, unetInputs } from "../models/unet.ts";

/** Published config of SDXL: Podell et al. 2023 (arXiv 2307.01952). */
export const SDXL_UNET: UNetConfig = {
  inChannels: 4,
  outChannels: 4,
  channels: [320, 640, 1280],
  depth: [0, 2, 10],
  midDepth: 10,
  upDepth: [0, 2, 10],
  heads: [5, 10, 20],
  layersPerBlock: 2,
  groups: 32,
  contextDim: 2048,
  pooledDim: 1280,
  timeIdDim: 256,
  linearProjection: true,
};

/** A UNet over inputs of its own, with one timestep for all: [batch, outChannels, height, width]. */
export const unetOver = (weights: WeightSource, config: UNetConfig): Tensor =>
  unet(unetInputs(config), new Weights(weights), config);

/** SDXL's UNet at full size. */
export const sdxlUNet = (weights: WeightSource): Tensor => unetOver(weights, SDXL_UNET);
