import { mulDims, namedDim } from "../../src/graph/dim.ts";
import { input } from "../../src/graph/ops/source.ts";
import { type Recorded, Recorder } from "../../src/graph/recorder.ts";
import { Weights } from "../../src/graph/weights.ts";
import { type ClipTextConfig, clipText } from "../../src/models/clip-text.ts";
import { fuse } from "../../src/models/fuse.ts";
import { idEncoderV1 } from "../../src/models/id-encoder-v1.ts";
import { idEncoderV2 } from "../../src/models/id-encoder-v2.ts";
import { unet, unetInputs } from "../../src/models/unet.ts";
import { vaeDecode, vaeEncode } from "../../src/models/vae.ts";
import type { Sizes } from "./sdxl-sizes.ts";

/** Names as in diffusers and transformers, with shapes and initial values, recorded from the model functions. */
export type Parameters = ReadonlyMap<string, Recorded>;

const [batch, height, width, tokens] = ["batch", "height", "width", "tokens"].map(namedDim) as [never, never, never, never];

function record(build: (w: Weights) => unknown): Parameters {
  const recorder = new Recorder();
  build(new Weights(recorder));
  return recorder.params;
}

export const unetParameters = ({ unet: sizes }: Sizes): Parameters => record((w) => unet(unetInputs(sizes), w, sizes));

export const vaeParameters = ({ vae: sizes }: Sizes): Parameters =>
  record((w) => {
    vaeEncode(input("pixels", [batch, sizes.imageChannels, mulDims(height, 8), mulDims(width, 8)]), w, sizes);
    vaeDecode(input("latents", [batch, sizes.latentChannels, height, width]), w, sizes);
  });

export const textParameters = (sizes: ClipTextConfig): Parameters =>
  record((w) => {
    clipText({ ids: input("ids", [batch, tokens], "i64"), pooledAt: input("pooledAt", [batch], "i64") }, w, sizes);
  });

export const idEncoderParameters = ({ v1, v2 }: Sizes, version: "v1" | "v2"): Parameters =>
  record((w) => {
    const { image } = v1.vision;
    const pixels = input("pixels", [batch, 3, image, image]);
    const encoded = idEncoderV1(pixels, w, v1); // V2's file carries these projections too
    if (version === "v2") idEncoderV2(pixels, input("faces", [batch, 512]), w, v2);
    const rows = [namedDim("rows"), encoded.shape[2]!];
    fuse(input("classEmbeds", rows), input("idTokens", rows), w.at("fuse_module"));
  });

/** The adapter's LoRA on all attention layers, under the names of the official files. */
export function loraParameters(unetParams: Parameters, rank: number): Parameters {
  const out = new Map<string, Recorded>();
  for (const [name, { shape }] of unetParams) {
    const at = /^(.+\.attn[12])\.(to_q|to_k|to_v|to_out)(?:\.0)?\.weight$/.exec(name);
    if (at === null) continue;
    const path = `unet.${at[1]}.processor.${at[2]}_lora`;
    out.set(`${path}.down.weight`, { shape: [rank, shape[1]!], init: { uniform: 1 / Math.sqrt(shape[1]!) } });
    out.set(`${path}.up.weight`, { shape: [shape[0]!, rank], init: { uniform: 0.02 } });
  }
  return out;
}
