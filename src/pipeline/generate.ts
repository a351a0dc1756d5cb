import type { GenerateEvent, ImageEvent, Timings } from "../contract/events.ts";
import { checkPhotos, type GenerateRequest } from "../contract/request.ts";
import type { FloatArray } from "../core/array.ts";
import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import { clipPreprocess, decodePhoto, encodePng } from "../image/index.ts";
import type { Sampler } from "../samplers/sampler.ts";
import { readPrompts } from "../sessions/prompts.ts";
import { encodeText, noText } from "../sessions/text-stage.ts";
import { decodeLatents, decoderOf } from "./decode/decode.ts";
import { previewOf } from "./decode/preview.ts";
import type { Plane } from "./decode/tiles.ts";
import { denoise, pictureOf } from "./denoise/denoise.ts";
import { checkExtensions, extensionsOf } from "./denoise/extensions.ts";
import { mergeStepNotices, mergeStepOf } from "./denoise/merge-step.ts";
import type { Prepared, Texts } from "./denoise/prepared.ts";
import { readIdEmbeds } from "./denoise/read-latents.ts";
import { guidedEvaluations } from "./denoise/text-guidance.ts";
import { checkIdTokens, encodePhotos, type IdEncoder, stackIds } from "./encode/id-stage.ts";
import { checkRoom, type Picture } from "./load/check-room.ts";
import type { Models } from "./models.ts";
import { Progress } from "./progress.ts";
import { type PictureSettings, settingsJson, settingsText } from "./settings.ts";
import { type SettledRequest, samplerOf, settle } from "./settle.ts";

export interface GenerateResult {
  readonly images: readonly ImageEvent[];
  readonly seed: number;
  readonly notices: readonly Notice[];
  readonly timings: Timings;
  readonly latents: { readonly initialNoise: Float32Array; readonly final: Float32Array; readonly dims: readonly number[] };
}

/**
 * One request from photos and text to pictures: PhotoMaker (arXiv 2312.04461), section 3, with delayed subject conditioning; plain
 * SDXL without an adapter. The order of steps, and what is drawn from the seed when, are those of the official pipeline.
 * @see TencentARC/PhotoMaker 060b4fc photomaker/pipeline.py __call__
 */
export async function generate(
  models: Models,
  given: GenerateRequest,
  emit: (event: GenerateEvent) => void,
  signal: AbortSignal,
): Promise<GenerateResult> {
  const progress = new Progress(emit, signal);
  const notices: Notice[] = [];
  const note = (more: readonly Notice[]): void => {
    notices.push(...more);
    for (const notice of more) emit({ type: "notice", notice });
  };
  signal.throwIfAborted();
  const { request, notices: against } = settle(given, models.fewStep);
  const size = sizeOf(models, request);
  const sampler = samplerOf(request, models.scheduler, models.fewStep);
  checkExtensions(extensionsOf(request), { config: models.unet.graph.settings, evaluations: sampler.timesteps.length });
  const seed = seedOf(request);
  decoderOf(models, request);
  const preview = request.preview ? previewOf(models, progress) : undefined;
  note(checkRoom(models, request, pictureFor(size, request.numImagesPerPrompt, isGuided(request, sampler))));
  note(against);
  if (models.identity !== undefined) note(mergeStepNotices(request, sampler.timesteps.length));
  try {
    const texts = await progress.timed("encode", () =>
      encode(models, request, isGuided(request, sampler), progress, note, signal),
    );
    const dims = latentDims(request.numImagesPerPrompt, size);
    const drawn = dims.reduce((a, b) => a * b);
    if (request.generatorDevice === "cuda" && drawn > CUDA_SAME) note([cudaNotice(drawn)]);
    const prepared = { request, texts, seed };
    const { initialNoise, final } = await denoise(models, [prepared], { sampler, dims, preview, progress, emit, signal });
    const images: ImageEvent[] = [];
    await progress.timed("decode", async () => {
      for (let index = 0; index < request.numImagesPerPrompt; index++) {
        signal.throwIfAborted();
        progress.step("decode", index, request.numImagesPerPrompt);
        const image = await finished(models, prepared, size, pictureOf(final, dims, index), index, progress);
        images.push(image);
        emit(image);
      }
    });
    progress.step("decode", images.length, images.length);
    if (models.options.unloadAfterUse) await unloadDecoders(models);
    const latents = { initialNoise, final, dims };
    const timings = progress.timings();
    emit({ type: "done", seed, timings, modelMemory: models.memory(), latents });
    return { images, seed, notices, timings, latents };
  } catch (error) {
    if (models.options.unloadAfterUse) await unloadAll(models);
    throw error;
  }
}

/** Numbers that every GPU of recent years draws in one pass of its grid, and so alike. */
const CUDA_SAME = 100_000;
const cudaNotice = (count: number): Notice => ({
  code: "seed/depends-on-gpu",
  message: `PyTorch on a GPU draws as many random numbers as this needs (${count}) in an order that depends on the GPU: the picture may not be that of the same seed there. Fewer or smaller pictures at once are.`,
});

/** What requests that are drawn side by side must have in common. */
const SHARED = [
  ...([
    "numInferenceSteps",
    "scheduler",
    "timestepSpacing",
    "guidanceScale",
    "guidanceRescale",
    "guidanceEnd",
    "eta",
    "width",
    "height",
    "deepCache",
    "tGate",
    "tokenDownsampling",
  ] as const),
];

/**
 * Several requests drawn side by side, which for small pictures takes far less time than one after the other. Each gives the
 * pictures that it gives alone, but for the rounding of sums.
 * @returns the pictures of each request
 * @throws TypeError if requests differ in what they must share; UserError those of {@link generate}
 */
export async function generateTogether(
  models: Models,
  given: readonly GenerateRequest[],
  signal: AbortSignal,
): Promise<ImageEvent[][]> {
  const requests = given.map((request) => settle(request, models.fewStep).request);
  const [first] = requests;
  if (first === undefined) return [];
  for (const key of SHARED)
    if (requests.some((request) => request[key] !== first[key])) throw new TypeError(`the requests differ in ${key}`);
  if (first.deepCache !== undefined && requests.some((request) => mergeStepOf(request) !== mergeStepOf(first)))
    throw new TypeError("with deepCache, requests may not differ in startMergeStep");
  const progress = new Progress(() => {});
  const size = sizeOf(models, first);
  for (const request of requests) decoderOf(models, request);
  const sampler = samplerOf(first, models.scheduler, models.fewStep);
  const checked = { config: models.unet.graph.settings, evaluations: sampler.timesteps.length };
  for (const request of requests) checkExtensions(extensionsOf(request), checked);
  const count = requests.reduce((sum, { numImagesPerPrompt }) => sum + numImagesPerPrompt, 0);
  for (const request of requests) checkRoom(models, request, pictureFor(size, count, isGuided(request, sampler)));
  try {
    const prepared: Prepared[] = [];
    for (const request of requests) {
      const texts = await encode(models, request, isGuided(request, sampler), progress, () => {}, signal);
      prepared.push({ request, texts, seed: seedOf(request) });
    }
    const dims = latentDims(count, size);
    const { final } = await denoise(models, prepared, { sampler, dims, progress, emit: () => {}, signal });
    const images: ImageEvent[][] = [];
    let at = 0;
    for (const one of prepared) {
      const own: ImageEvent[] = [];
      for (let index = 0; index < one.request.numImagesPerPrompt; index++) {
        signal.throwIfAborted();
        own.push(await finished(models, one, size, pictureOf(final, dims, at++), index, progress));
      }
      images.push(own);
    }
    if (models.options.unloadAfterUse) await unloadDecoders(models);
    return images;
  } catch (error) {
    if (models.options.unloadAfterUse) await unloadAll(models);
    throw error;
  }
}

/** Whether the negative text is evaluated at all: else it need not be encoded. */
const isGuided = (request: SettledRequest, { timesteps }: Sampler): boolean => guidedEvaluations(request, timesteps.length) > 0;

const pictureFor = ({ width, height }: Size, images: number, guided: boolean): Picture => ({
  ...{ width, height },
  rows: images * (guided ? 2 : 1),
});

const seedOf = ({ seed }: GenerateRequest): number => seed ?? Math.floor(Math.random() * 2 ** 32);

interface Size {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** Pixels for each latent, along a side. */
  readonly factor: number;
}

/** @throws UserError size/not-multiple-of-… */
function sizeOf({ unet, vae }: Models, request: GenerateRequest): Size {
  const { sampleSize, inChannels } = unet.graph.settings;
  const { factor } = vae.graph;
  const size = { width: request.width ?? sampleSize * factor, height: request.height ?? sampleSize * factor };
  for (const [name, value] of Object.entries(size))
    if (value % factor !== 0)
      throw new UserError(
        `size/not-multiple-of-${factor}`,
        `${name} is ${value}, which is not a multiple of ${factor}, as this model needs.`,
        `Take ${Math.ceil(value / factor) * factor}.`,
      );
  return { ...size, channels: inChannels, factor };
}

async function encode(
  models: Models,
  request: SettledRequest,
  guided: boolean,
  progress: Progress,
  note: (notices: readonly Notice[]) => void,
  signal: AbortSignal,
): Promise<Texts> {
  const { identity, text, unet, options, cache } = models;
  checkPhotos(identity !== undefined, request);
  const photos = request.inputIdImages;
  const given = request.idTokens && checkIdTokens(identity!.graph, request.idTokens);
  const ids = readPrompts(
    models.readers,
    request,
    identity && {
      trigger: options.triggerWord,
      repeats: given?.dims[0] ?? photos.length * identity.graph.tokensPerPhoto,
      everyToken: identity.everyToken,
    },
    models.emptyIsNothing,
  );
  note(ids.notices);
  // Photos are read first: what is wrong with them is found before anything is loaded.
  const faces = request.idEmbeds === undefined ? undefined : await readIdEmbeds(request.idEmbeds);
  const pixels = identity === undefined ? [] : await readPhotos(identity, photos);
  if (models.apart) void unet.sessions.loadAhead(extensionsOf(request), progress);

  const negativeIds = guided ? ids.negative : undefined;
  const steps = (negativeIds === undefined ? 1 : 2) + (ids.identity === undefined ? 0 : 3);
  let step = 0;
  const next = (detail: string): void => {
    signal.throwIfAborted();
    progress.step("encode", step++, steps, detail);
  };
  next("text");
  const skip = request.clipSkip ?? 0;
  const plain = await encodeText(text, ids.text, skip, cache, progress);
  if (negativeIds !== undefined) next("negative text");
  // the official code leaves clip_skip out of account for negative texts
  const negative = negativeIds === undefined ? noText(text) : await encodeText(text, negativeIds, 0, cache, progress);
  if (identity === undefined || ids.identity === undefined) {
    if (options.unloadAfterUse) await Promise.all(text.map(({ session }) => session.unload()));
    return { text: plain, identity: undefined, negative };
  }
  next("text with the person");
  const roomy = await encodeText(text, ids.identity.ids, skip, cache, progress);
  if (options.unloadAfterUse) await Promise.all(text.map(({ session }) => session.unload()));
  next("photos");
  const tokens = given ?? (await encodePhotos(identity, pixels, faces, cache, progress));
  next("fusion");
  const context = await stackIds(identity, roomy.context, ids.identity.places, tokens, cache, progress);
  if (options.unloadAfterUse) await Promise.all([identity.encode.unload(), identity.fuse.unload()]);
  progress.step("encode", steps, steps);
  return { text: plain, identity: { context, pooled: roomy.pooled }, negative };
}

async function readPhotos({ graph }: IdEncoder, photos: GenerateRequest["inputIdImages"]): Promise<Float32Array[]> {
  const pixels: Float32Array[] = [];
  for (const photo of photos) pixels.push(await clipPreprocess(await decodePhoto(photo), graph.image));
  return pixels;
}

/**
 * Photos of one person as ID tokens, in their order: what {@link generate} makes of `inputIdImages`.
 * @returns [photos · tokens of each, width]
 * @throws UserError id-images/not-wanted, id-images/missing, and those of decodePhoto and encodePhotos
 */
export async function encodeIdImages(
  models: Models,
  request: Pick<GenerateRequest, "inputIdImages" | "idEmbeds">,
): Promise<FloatArray> {
  const { identity, options } = models;
  checkPhotos(identity !== undefined, request);
  if (identity === undefined) throw new TypeError("neither an adapter nor photos");
  const faces = request.idEmbeds === undefined ? undefined : await readIdEmbeds(request.idEmbeds);
  const pixels = await readPhotos(identity, request.inputIdImages);
  const tokens = await encodePhotos(identity, pixels, faces, models.cache, new Progress(() => {}));
  if (options.unloadAfterUse) await identity.encode.unload();
  return tokens;
}

const latentDims = (images: number, { channels, height, width, factor }: Size): [number, number, number, number] => [
  images,
  channels,
  height / factor,
  width / factor,
];

/** A picture from its latents, as a PNG that says how it was made. */
async function finished(
  models: Models,
  { request, texts, seed }: Prepared,
  { width, height }: Size,
  latents: Plane,
  index: number,
  progress: Progress,
): Promise<ImageEvent> {
  const picture = await decodeLatents(decoderOf(models, request), latents, progress);
  const made: PictureSettings = {
    request: { ...request, width, height, seed },
    load: models.options,
    index,
    sampler: request.scheduler ?? "the model's own",
    mergeStep: texts.identity && mergeStepOf(request),
  };
  const settings = settingsJson(made);
  const png = await encodePng(picture, { parameters: settingsText(made), settings });
  return { type: "image", index, png, width: picture.width, height: picture.height, seed, settings };
}

const unloadDecoders = ({ vae, tinyVae }: Pick<Models, "vae" | "tinyVae">): Promise<unknown> =>
  Promise.all([vae.session.unload(), tinyVae?.session.unload()]);

async function unloadAll({ text, identity, unet, vae, tinyVae }: Models): Promise<void> {
  const sessions = [...text.map(({ session }) => session), identity?.encode, identity?.fuse, unet.sessions];
  await Promise.all([...sessions.map((session) => session?.unload()), unloadDecoders({ vae, tinyVae })]);
}
