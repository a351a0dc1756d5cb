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
  /** Makes every 200th channel of the UNet's norms this much larger, as some channels of trained transformers are. */
  readonly outliers?: number;
}

const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

function tensors(params: Parameters, originals: readonly OriginalTensor[], { values, outliers }: WriteOptions): TensorToWrite[] {
  return originals.map(({ name, shape, from }) => ({
    name,
    dtype: "F16",
    shape,
    data: async () => {
      const { init } = params.get(from[0]!)!;
      const data = values.fill(count(shape), init);
      if (outliers !== undefined && /transformer_blocks\.\d+\.norm\d\.weight$/.test(from[0]!))
        for (let i = 0; i < data.length; i += 200) data[i] = outlierHalf(outliers);
      return data;
    },
  }));
}

const outlierHalf = (factor: number): number => {
  const exponent = Math.floor(Math.log2(factor));
  return ((exponent + 15) << 10) | Math.round((factor / 2 ** exponent - 1) * 1024);
};

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
