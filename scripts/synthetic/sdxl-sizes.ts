import type { ClipTextConfig } from "../../src/models/clip-text.ts";
import type { IdEncoderV1Config } from "../../src/models/id-encoder-v1.ts";
import type { IdEncoderV2Config } from "../../src/models/id-encoder-v2.ts";
import type { UNetConfig } from "../../src/models/unet.ts";
import type { VaeConfig } from "../../src/models/vae.ts";
import { SDXL_UNET } from "../../src/testing/sdxl-unet.ts";

/** Every size of SDXL and its PhotoMaker adapters that the synthetic files need. */
export interface Sizes {
  readonly unet: UNetConfig;
  readonly vae: VaeConfig;
  readonly textEncoder: ClipTextConfig;
  readonly textEncoder2: ClipTextConfig;
  readonly v1: IdEncoderV1Config;
  readonly v2: IdEncoderV2Config;
  readonly loraRank: number;
}

const clip = { eps: 1e-5, vocabulary: 49408, positions: 77 } as const;
const vision = {
  width: 1024,
  mlp: 4096,
  heads: 16,
  layers: 24,
  patch: 14,
  image: 224,
  activation: "quick_gelu",
  eps: 1e-5,
} as const;

/** Sizes from the published configs of Podell et al. 2023 (arXiv 2307.01952) and TencentARC/PhotoMaker 060b4fc. */
export const SDXL: Sizes = {
  unet: SDXL_UNET,
  vae: {
    imageChannels: 3,
    latentChannels: 4,
    channels: [128, 256, 512, 512],
    layersPerBlock: 2,
    groups: 32,
    midAttention: true,
    quantConv: true,
    postQuantConv: true,
    scalingFactor: 0.13025,
    shiftFactor: 0,
  },
  textEncoder: { ...clip, width: 768, mlp: 3072, layers: 12, heads: 12, activation: "quick_gelu", projection: undefined },
  textEncoder2: { ...clip, width: 1280, mlp: 5120, layers: 32, heads: 20, activation: "gelu", projection: 1280 },
  v1: { vision, projections: [768, 1280] },
  v2: { vision, tokens: 2, width: 2048, hidden: 2048, depth: 4, heads: 16, headDim: 128, mlp: 8192 },
  loraRank: 64,
};
