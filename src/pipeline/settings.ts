import type { z } from "zod";
import { metaOf } from "../contract/option.ts";
import { type Person, peopleOf } from "../contract/person.ts";
import type { Photo } from "../contract/photo.ts";
import { GenerateRequest, LoadOptions } from "../contract/request.ts";
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
 * `requestFromSettings` is the way back.
 */
export function settingsJson({ request, load, index }: PictureSettings): Record<string, unknown> {
  const { people, idEmbeds, idTokens, latents, inputIdImages, ...rest } = request;
  return {
    ...rest,
    ...publicPerson({ inputIdImages: inputIdImages.map(photoName), idEmbeds, idTokens }),
    ...(people !== undefined && {
      people: people.map(({ photos, ...person }) => publicPerson({ ...person, photos: photos.map(photoName) })),
    }),
    ...(latents !== undefined && { latents: numbersName(latents) }),
    index,
    load: publicLoad(load),
  };
}

const photoName = (photo: Photo): string => (typeof photo === "string" ? fileName(photo) : `<${photo.length} bytes>`);

const numbersName = (value: string | FloatArray): string =>
  typeof value === "string" ? fileName(value) : `<numbers [${value.dims.join(", ")}]>`;

const publicPerson = <T extends Pick<Person, "idEmbeds" | "idTokens">>({ idEmbeds, idTokens, ...rest }: T) => ({
  ...rest,
  ...(idEmbeds !== undefined && { idEmbeds: numbersName(idEmbeds) }),
  ...(idTokens !== undefined && { idTokens: numbersName(idTokens) }),
});

function publicLoad({ model, modelConfig, adapter, tinyVae, loras, ...rest }: LoadOptions): LoadOptions {
  return {
    ...rest,
    model: publicName(model),
    ...(modelConfig === undefined ? {} : { modelConfig: fileName(modelConfig) }),
    ...(adapter === undefined ? {} : { adapter: publicName(adapter) }),
    ...(tinyVae === undefined ? {} : { tinyVae: publicName(tinyVae) }),
    loras: loras.map(({ path, ...one }) => ({ path: publicName(path), ...one })),
  };
}

/** As the text that other tools read. Names are those that options have in the contract. */
export function settingsText({ request, load, index, sampler, mergeStep }: PictureSettings): string {
  const people = peopleOf(request);
  const tokens = people.flatMap(({ idTokens }) => (idTokens === undefined ? [] : [idTokens.dims[0]!]));
  const adapter: [string, string | number][] =
    load.adapter === undefined
      ? []
      : [
          named(LoadOptions, "adapter", shortName(load.adapter)),
          tokens.length === 0
            ? named(
                GenerateRequest,
                "inputIdImages",
                people.reduce((sum, { photos }) => sum + photos.length, 0),
              )
            : named(
                GenerateRequest,
                "idTokens",
                tokens.reduce((a, b) => a + b),
              ),
          named(GenerateRequest, "startMergeStep", mergeStep ?? -1),
        ];
  /** An option of the request, if it is to be told. */
  const told = (key: keyof GenerateRequest, value: string | number | undefined): [string, string | number][] =>
    value === undefined ? [] : [named(GenerateRequest, key, value)];
  const { guidanceEnd, clipSkip } = request;
  return infotext({
    prompt: request.prompt,
    negativePrompt: isGuided(request.guidanceScale) && guidanceEnd > 0 ? request.negativePrompt : undefined,
    settings: [
      ...told("numInferenceSteps", request.numInferenceSteps),
      ...told("scheduler", sampler),
      ...told("guidanceScale", request.guidanceScale),
      ...told("guidanceEnd", guidanceEnd < 1 ? guidanceEnd : undefined),
      ...told("seed", request.seed),
      ...told("generatorDevice", request.generatorDevice === "cuda" ? "NV" : undefined),
      ["Size", `${request.width}x${request.height}`],
      named(LoadOptions, "model", shortName(load.model)),
      ...told("decoder", request.decoder === "tiny-vae" ? "TAESD" : undefined),
      ...told("deepCache", request.deepCache),
      ...told("tokenDownsampling", request.tokenDownsampling),
      ...told("tGate", request.tGate),
      ...told("clipSkip", clipSkip === undefined ? undefined : clipSkip + 1),
      ...load.loras.map(({ path, scale, blocks }) =>
        named(LoadOptions, "loras", `${shortName(path)}:${scale}${blocks === undefined ? "" : `:lbw=${blocks}`}`),
      ),
      ...adapter,
      ...(request.numImagesPerPrompt > 1 ? ([["Batch pos", index]] as const) : []),
    ],
  });
}

/** @throws TypeError if the option has no name in such texts */
function named<T extends z.ZodObject, V>(schema: T, key: keyof T["shape"] & string, value: V): [string, V] {
  const name = metaOf(schema.shape[key] as z.ZodType)?.infotext;
  if (name === undefined) throw new TypeError(`${key} has no name in a picture's text`);
  return [name, value];
}
