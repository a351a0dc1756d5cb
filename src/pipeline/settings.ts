import type { LoadOptions } from "../contract/request.ts";
import type { FloatArray } from "../core/array.ts";
import { infotext } from "../image/infotext.ts";
import { isGuided } from "./denoise/text-guidance.ts";
import { fileName, publicName, shortName } from "./public-name.ts";
import type { SettledRequest } from "./settle.ts";

/** What a picture was made with. */
export interface PictureSettings {
  readonly request: SettledRequest & { readonly width: number; readonly height: number; readonly seed: number };
  readonly load: LoadOptions;
  /** Which of the request's pictures it is. */
  readonly index: number;
  readonly sampler: string;
  readonly mergeStep: number | undefined;
}

/**
 * As plain JSON, for the PNG and for programs: enough to make the picture again for whoever has the files. They are named
 * without their folders, those of the hub by id and commit; what was given as bytes or numbers is only described.
 */
export function settingsJson({ request, load, index }: PictureSettings): Record<string, unknown> {
  const { inputIdImages, idEmbeds, idTokens, latents, ...rest } = request;
  const numbers = (value: string | FloatArray): string =>
    typeof value === "string" ? fileName(value) : `<numbers [${value.dims.join(", ")}]>`;
  return {
    ...rest,
    inputIdImages: inputIdImages.map((photo) => (typeof photo === "string" ? fileName(photo) : `<${photo.length} bytes>`)),
    ...(idEmbeds === undefined ? {} : { idEmbeds: numbers(idEmbeds) }),
    ...(idTokens === undefined ? {} : { idTokens: numbers(idTokens) }),
    ...(latents === undefined ? {} : { latents: numbers(latents) }),
    index,
    load: publicLoad(load),
  };
}

function publicLoad({ model, modelConfig, adapter, tinyVae, loras, ...rest }: LoadOptions): LoadOptions {
  return {
    ...rest,
    model: publicName(model),
    ...(modelConfig === undefined ? {} : { modelConfig: fileName(modelConfig) }),
    ...(adapter === undefined ? {} : { adapter: publicName(adapter) }),
    ...(tinyVae === undefined ? {} : { tinyVae: publicName(tinyVae) }),
    loras: loras.map(({ path, scale }) => ({ path: publicName(path), scale })),
  };
}

/** As the text that other tools read. */
export function settingsText({ request, load, index, sampler, mergeStep }: PictureSettings): string {
  const adapter: [string, string | number][] =
    load.adapter === undefined
      ? []
      : [
          ["PhotoMaker", shortName(load.adapter)],
          request.idTokens === undefined ? ["ID images", request.inputIdImages.length] : ["ID tokens", request.idTokens.dims[0]!],
          ["Start merge step", mergeStep ?? -1],
        ];
  return infotext({
    prompt: request.prompt,
    negativePrompt: isGuided(request.guidanceScale) && request.guidanceEnd > 0 ? request.negativePrompt : undefined,
    settings: [
      ["Steps", request.numInferenceSteps],
      ["Sampler", sampler],
      ["CFG scale", request.guidanceScale],
      ...(request.guidanceEnd < 1 ? ([["Guidance end", request.guidanceEnd]] as const) : []),
      ["Seed", request.seed],
      ...(request.generatorDevice === "cuda" ? ([["RNG", "NV"]] as const) : []),
      ["Size", `${request.width}x${request.height}`],
      ["Model", shortName(load.model)],
      ...(request.decoder === "tiny-vae" ? ([["VAE Decoder", "TAESD"]] as const) : []),
      ...(request.deepCache === undefined ? [] : ([["DeepCache", request.deepCache]] as const)),
      ...(request.tokenDownsampling === undefined ? [] : ([["Token downsampling", request.tokenDownsampling]] as const)),
      ...(request.tGate === undefined ? [] : ([["T-GATE", request.tGate]] as const)),
      ...(request.clipSkip === undefined ? [] : ([["Clip skip", request.clipSkip + 1]] as const)),
      ...load.loras.map(({ path, scale }) => ["Lora", `${shortName(path)}:${scale}`] as const),
      ...adapter,
      ...(request.numImagesPerPrompt > 1 ? ([["Batch pos", index]] as const) : []),
    ],
  });
}
