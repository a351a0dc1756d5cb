import type { z } from "zod";
import { metaOf } from "../contract/option.ts";
import { type Person, peopleOf } from "../contract/person.ts";
import type { Photo } from "../contract/photo.ts";
import { GenerateRequest, LoadOptions } from "../contract/request.ts";
import type { Seed } from "../contract/seed.ts";
import type { FloatArray } from "../core/array.ts";
import { infotext } from "../image/infotext.ts";
import { isGuided } from "./denoise/text-guidance.ts";
import type { ChosenTexts } from "./encode/choose-texts.ts";
import { fileName, publicName, shortName } from "./public-name.ts";
import type { SettledRequest } from "./settle.ts";

/** Settings that a picture was made with. */
export interface PictureSettings {
  readonly request: SettledRequest & { readonly width: number; readonly height: number; readonly seed: Seed };
  readonly load: LoadOptions;
  /** What wildcards in its texts became. */
  readonly chosen?: ChosenTexts | undefined;
  /** 0-based among the pictures of the request. */
  readonly index: number;
  readonly sampler: string;
  readonly mergeStep: number | undefined;
}

/**
 * Settings as plain JSON, for the PNG and for programs: with the files, they make the picture again. Files are named without their folders,
 * those of the hub by id and commit; bytes and numbers are only described. `requestFromSettings` is the inverse.
 */
export function settingsJson({ request, load, index, chosen }: PictureSettings): Record<string, unknown> {
  const { people, idEmbeds, idTokens, latents, inputIdImages, wildcards, ...rest } = request;
  return {
    ...rest,
    promptSyntax: request.promptSyntax ?? "a1111", // said, because pictures that do not say it were made without
    ...publicPerson({ inputIdImages: inputIdImages.map(photoName), idEmbeds, idTokens }),
    ...(people !== undefined && {
      people: people.map(({ photos, ...person }) => publicPerson({ ...person, photos: photos.map(photoName) })),
    }),
    ...(latents !== undefined && { latents: numbersName(latents) }),
    ...(wildcards !== undefined && { wildcards: fileName(wildcards) }),
    ...(chosen !== undefined && { chosen }),
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

function publicLoad({
  model,
  modelConfig,
  adapter,
  unet,
  vae,
  textEncoder,
  textEncoder2,
  tinyVae,
  loras,
  loraFolder: _,
  embeddings,
  ...rest
}: LoadOptions): LoadOptions {
  return {
    ...rest,
    model: publicName(model),
    ...(modelConfig === undefined ? {} : { modelConfig: fileName(modelConfig) }),
    ...(adapter === undefined ? {} : { adapter: publicName(adapter) }),
    ...(unet !== undefined && { unet: publicName(unet) }),
    ...(vae !== undefined && { vae: publicName(vae) }),
    ...(textEncoder !== undefined && { textEncoder: publicName(textEncoder) }),
    ...(textEncoder2 !== undefined && { textEncoder2: publicName(textEncoder2) }),
    ...(tinyVae === undefined ? {} : { tinyVae: publicName(tinyVae) }),
    ...(embeddings !== undefined && { embeddings: embeddings.map(fileName) }),
    loras: loras.map(({ path, ...one }) => ({ path: publicName(path), ...one })),
  };
}

/** Settings as the text that other tools read, with the infotext names of the contract. */
export function settingsText({ request, load, index, chosen, sampler, mergeStep }: PictureSettings): string {
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
  /** The name and value of a request's option; empty if the value is undefined. */
  const told = (key: keyof GenerateRequest, value: string | number | undefined): [string, string | number][] =>
    value === undefined ? [] : [named(GenerateRequest, key, value)];
  const { guidanceEnd, clipSkip } = request;
  return infotext({
    prompt: chosen?.prompt ?? request.prompt,
    negativePrompt:
      isGuided(request.guidanceScale) && guidanceEnd > 0 ? (chosen?.negativePrompt ?? request.negativePrompt) : undefined,
    settings: [
      ...told("numInferenceSteps", request.numInferenceSteps),
      ...told("scheduler", sampler),
      ...told("guidanceScale", request.guidanceScale),
      ...told("guidanceEnd", guidanceEnd < 1 ? guidanceEnd : undefined),
      ...told("seed", request.seed),
      ...told("generatorDevice", request.generatorDevice === "cuda" ? "NV" : undefined),
      ["Size", `${request.width}x${request.height}`],
      named(LoadOptions, "model", shortName(load.model)),
      ...(["unet", "vae", "textEncoder", "textEncoder2"] as const).flatMap((key) =>
        load[key] === undefined ? [] : [named(LoadOptions, key, shortName(load[key]))],
      ),
      ...told("decoder", request.decoder === "tiny-vae" ? "TAESD" : undefined),
      ...told("deepCache", request.deepCache),
      ...told("tokenDownsampling", request.tokenDownsampling),
      ...told("tGate", request.tGate),
      ...told("clipSkip", clipSkip === undefined ? undefined : clipSkip + 1),
      ...load.loras.map(({ path, scale, blocks }) =>
        named(LoadOptions, "loras", `${shortName(path)}:${scale}${blocks === undefined ? "" : `:lbw=${blocks}`}`),
      ),
      ...adapter,
      // names of sd-dynamic-prompts
      ...(chosen?.prompt === undefined ? [] : ([["Template", request.prompt]] as const)),
      ...(chosen?.negativePrompt === undefined ? [] : ([["Negative Template", request.negativePrompt!]] as const)),
      ...(request.numImagesPerPrompt > 1 ? ([["Batch pos", index]] as const) : []),
    ],
  });
}

/** @throws TypeError if the option has no infotext name */
function named<T extends z.ZodObject, V>(schema: T, key: keyof T["shape"] & string, value: V): [string, V] {
  const name = metaOf(schema.shape[key] as z.ZodType)?.infotext;
  if (name === undefined) throw new TypeError(`${key} has no name in a picture's text`);
  return [name, value];
}
