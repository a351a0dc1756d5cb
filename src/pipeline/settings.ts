import { basename } from "node:path";
import type { FloatArray } from "../core/array.ts";
import { infotext } from "../image/infotext.ts";
import { isGuided } from "./denoiser.ts";
import type { GenerateRequest, LoadOptions } from "./request.ts";

/** What a picture was made with: enough to make it again. */
export interface PictureSettings {
  readonly request: GenerateRequest & { readonly width: number; readonly height: number; readonly seed: number };
  readonly load: LoadOptions;
  /** Which of the request's pictures it is. */
  readonly index: number;
  readonly sampler: string;
  readonly mergeStep: number | undefined;
}

/** As plain JSON, for the PNG and for programs. What was given as bytes or numbers is only described. */
export function settingsJson({ request, load, index }: PictureSettings): Record<string, unknown> {
  const { inputIdImages, idEmbeds, latents, ...rest } = request;
  const numbers = (value: string | FloatArray): string =>
    typeof value === "string" ? value : `<numbers [${value.dims.join(", ")}]>`;
  return {
    ...rest,
    inputIdImages: inputIdImages.map((photo) => (typeof photo === "string" ? photo : `<${photo.length} bytes>`)),
    ...(idEmbeds === undefined ? {} : { idEmbeds: numbers(idEmbeds) }),
    ...(latents === undefined ? {} : { latents: numbers(latents) }),
    index,
    load,
  };
}

/** As the text that other tools read. */
export function settingsText({ request, load, index, sampler, mergeStep }: PictureSettings): string {
  const adapter: [string, string | number][] =
    load.adapter === undefined
      ? []
      : [
          ["PhotoMaker", basename(load.adapter)],
          ["ID images", request.inputIdImages.length],
          ["Start merge step", mergeStep ?? -1],
        ];
  return infotext({
    prompt: request.prompt,
    negativePrompt: isGuided(request.guidanceScale) ? request.negativePrompt : undefined,
    settings: [
      ["Steps", request.numInferenceSteps],
      ["Sampler", sampler],
      ["CFG scale", request.guidanceScale],
      ["Seed", request.seed],
      ...(request.generatorDevice === "cuda" ? ([["RNG", "NV"]] as const) : []),
      ["Size", `${request.width}x${request.height}`],
      ["Model", basename(load.model)],
      ...(request.deepCache === undefined ? [] : ([["DeepCache", request.deepCache]] as const)),
      ...(request.tGate === undefined ? [] : ([["T-GATE", request.tGate]] as const)),
      ...(request.clipSkip === undefined ? [] : ([["Clip skip", request.clipSkip + 1]] as const)),
      ...load.loras.map(({ path, scale }) => ["Lora", `${basename(path)}:${scale}`] as const),
      ...adapter,
      ...(request.numImagesPerPrompt > 1 ? ([["Batch pos", index]] as const) : []),
    ],
  });
}
