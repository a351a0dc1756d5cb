import type { TensorToWrite } from "../../src/weights/index.ts";
import { type OriginalTensor, openClipOriginals, textOriginals, unetOriginals, vaeOriginals } from "./original-names.ts";
import {
  idEncoderParameters,
  loraParameters,
  type Parameters,
  textParameters,
  unetParameters,
  vaeParameters,
} from "./parameters.ts";
import type { Sizes } from "./sdxl-sizes.ts";
import type { Values } from "./values.ts";

export interface WriteOptions {
  readonly values: Values;
  /**
   * Makes every 200th channel after the norms of the UNet's transformers 64 times as large, as some are in trained ones. `quiet`: the
   * weights that multiply them are 64 times smaller, so that the result is the same. `loud`: they are not.
   */
  readonly outliers?: "quiet" | "loud";
}

const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

const EVERY = 200;
const TIMES = 6; // doublings
const NORM = /transformer_blocks\.\d+\.norm\d\.weight$/;
const BEHIND_NORM = /transformer_blocks\.\d+\.(attn1\.to_[qkv]|attn2\.to_q|ff\.net\.0\.proj)\.weight$/;

function tensors(params: Parameters, originals: readonly OriginalTensor[], { values, outliers }: WriteOptions): TensorToWrite[] {
  return originals.map(({ name, shape, from }) => ({
    name,
    dtype: "F16",
    shape,
    data: async () => {
      const { init } = params.get(from[0]!)!;
      const data = values.fill(count(shape), init);
      const columns = shape.at(-1)!;
      const double = (times: number): void => {
        for (let i = 0; i < data.length; i += columns)
          for (let column = i; column < i + columns; column += EVERY) data[column] = doubledHalf(data[column]!, times);
      };
      if (outliers !== undefined && NORM.test(from[0]!)) double(TIMES);
      if (outliers === "quiet" && BEHIND_NORM.test(from[0]!)) double(-TIMES);
      return data;
    },
  }));
}

/** Doubles or halves the bits of a float16 some number of times; values too small become 0. */
function doubledHalf(bits: number, times: number): number {
  const exponent = ((bits >> 10) & 31) + times;
  return exponent <= 0 ? bits & 0x8000 : (bits & 0x83ff) | (exponent << 10);
}

/** A single-file SDXL checkpoint in the original layout. */
export function modelTensors(sizes: Sizes, options: WriteOptions): TensorToWrite[] {
  const unet = unetParameters(sizes);
  const vae = vaeParameters(sizes);
  const first = textParameters(sizes.textEncoder);
  const second = textParameters(sizes.textEncoder2);
  return [
    ...tensors(unet, unetOriginals(unet), options),
    ...tensors(vae, vaeOriginals(vae), options),
    ...tensors(first, textOriginals(first), options),
    ...tensors(second, openClipOriginals(second), options),
  ];
}

/** A PhotoMaker adapter as safetensors. */
export function adapterTensors(sizes: Sizes, version: "v1" | "v2", options: WriteOptions): TensorToWrite[] {
  const same = (params: Parameters, prefix: string) =>
    tensors(
      params,
      [...params].map(([name, { shape }]) => ({ name: prefix + name, shape, from: [name] })),
      options,
    );
  return [
    ...same(idEncoderParameters(sizes, version), "id_encoder."),
    ...same(loraParameters(unetParameters(sizes), sizes.loraRank), "lora_weights."),
  ];
}
