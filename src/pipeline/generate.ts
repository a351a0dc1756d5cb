import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import { CudaPhiloxGenerator } from "../core/random/cuda-philox-generator.ts";
import { TorchCpuGenerator } from "../core/random/torch-cpu-generator.ts";
import { clipPreprocess, decodePhoto, encodePng, previewLatents, type Rgb8 } from "../image/index.ts";
import { createSampler } from "../samplers/create-sampler.ts";
import type { Query, Sampler } from "../samplers/sampler.ts";
import { decodeLatents } from "./decode.ts";
import { type Conditioning, evaluate, isGuided } from "./denoiser.ts";
import type { GenerateEvent, ImageEvent, Timings } from "./events.ts";
import { encodePhotos, stackIds } from "./id-stage.ts";
import { mergeStepOf } from "./merge-step.ts";
import type { Models } from "./models.ts";
import { Progress } from "./progress.ts";
import { readPrompts } from "./prompts.ts";
import { readIdEmbeds, readLatents } from "./read-latents.ts";
import { checkPhotos, type GenerateRequest } from "./request.ts";
import { type PictureSettings, settingsJson, settingsText } from "./settings.ts";
import { encodeText, noText, type TextEmbeds } from "./text-stage.ts";
import { timeIds } from "./time-ids.ts";

export interface GenerateResult {
  readonly images: readonly ImageEvent[];
  readonly seed: number;
  readonly notices: readonly Notice[];
  readonly timings: Timings;
  readonly latents: { readonly initialNoise: Float32Array; readonly final: Float32Array; readonly dims: readonly number[] };
}

/** What the denoiser is told before and after the identity is merged in. */
interface Texts {
  readonly text: TextEmbeds;
  readonly identity: TextEmbeds | undefined;
  readonly negative: TextEmbeds;
}

/**
 * One request from photos and text to pictures: PhotoMaker (arXiv 2312.04461), section 3, with delayed subject conditioning; plain
 * SDXL without an adapter. The order of steps, and what is drawn from the seed when, are those of the official pipeline.
 * @see TencentARC/PhotoMaker 060b4fc photomaker/pipeline.py __call__
 */
export async function generate(
  models: Models,
  request: GenerateRequest,
  emit: (event: GenerateEvent) => void,
  signal: AbortSignal,
): Promise<GenerateResult> {
  const progress = new Progress(emit);
  const notices: Notice[] = [];
  const note = (more: readonly Notice[]): void => {
    notices.push(...more);
    for (const notice of more) emit({ type: "notice", notice });
  };
  signal.throwIfAborted();
  const size = sizeOf(models, request);
  const sampler = createSampler(request.scheduler, models.scheduler, request.numInferenceSteps);
  const seed = request.seed ?? Math.floor(Math.random() * 2 ** 32);
  try {
    const texts = await progress.timed("encode", () => encode(models, request, progress, note, signal));
    const dims = [request.numImagesPerPrompt, size.channels, size.height / size.factor, size.width / size.factor];
    if (request.generatorDevice === "cuda" && product(dims) > CUDA_SAME) note([cudaNotice(product(dims))]);
    const { initialNoise, final } = await denoise(models, request, { texts, sampler, seed, dims, progress, emit, signal });
    const resolved = { ...request, width: size.width, height: size.height, seed };
    const images: ImageEvent[] = [];
    await progress.timed("decode", async () => {
      for (let index = 0; index < request.numImagesPerPrompt; index++) {
        signal.throwIfAborted();
        progress.step("decode", index, request.numImagesPerPrompt);
        const picture = await decodeLatents(models.vae, pictureOf(final, dims, index), progress);
        const image = await finished(picture, index, {
          request: resolved,
          load: models.options,
          index,
          sampler: request.scheduler ?? "the model's own",
          mergeStep: texts.identity && mergeStepOf(request),
        });
        images.push(image);
        emit(image);
      }
    });
    progress.step("decode", images.length, images.length);
    if (models.options.unloadAfterUse) await models.vae.session.unload();
    const latents = { initialNoise, final, dims };
    const timings = progress.timings();
    emit({ type: "done", seed, timings, latents });
    return { images, seed, notices, timings, latents };
  } catch (error) {
    if (models.options.unloadAfterUse) await unloadAll(models);
    throw error;
  }
}

/** Numbers that every GPU of recent years draws in one pass of its grid, and so alike. */
const CUDA_SAME = 100_000;
const product = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);
const cudaNotice = (count: number): Notice => ({
  code: "seed/depends-on-gpu",
  message: `PyTorch on a GPU draws as many random numbers as this needs (${count}) in an order that depends on the GPU: the picture may not be that of the same seed there. Fewer or smaller pictures at once are.`,
});

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
  request: GenerateRequest,
  progress: Progress,
  note: (notices: readonly Notice[]) => void,
  signal: AbortSignal,
): Promise<Texts> {
  const { identity, text, options } = models;
  checkPhotos(identity !== undefined, request);
  const photos = request.inputIdImages;
  const ids = readPrompts(
    models.readers,
    request,
    identity && {
      trigger: options.triggerWord,
      repeats: photos.length * identity.graph.tokensPerPhoto,
      everyToken: identity.everyToken,
    },
    models.emptyIsNothing,
  );
  note(ids.notices);
  // Photos are read first: what is wrong with them is found before anything is loaded.
  const faces = request.idEmbeds === undefined ? undefined : await readIdEmbeds(request.idEmbeds);
  const pixels: Float32Array[] = [];
  for (const photo of photos) pixels.push(await clipPreprocess(await decodePhoto(photo), identity!.graph.image));

  const steps = (ids.negative === undefined ? 1 : 2) + (ids.identity === undefined ? 0 : 3);
  let step = 0;
  const next = (detail: string): void => {
    signal.throwIfAborted();
    progress.step("encode", step++, steps, detail);
  };
  next("text");
  const skip = request.clipSkip ?? 0;
  const plain = await encodeText(text, ids.text, skip, progress);
  if (ids.negative !== undefined) next("negative text");
  // the official code leaves clip_skip out of account for negative texts
  const negative = ids.negative === undefined ? noText(text) : await encodeText(text, ids.negative, 0, progress);
  if (identity === undefined || ids.identity === undefined) {
    if (options.unloadAfterUse) await Promise.all(text.map(({ session }) => session.unload()));
    return { text: plain, identity: undefined, negative };
  }
  next("text with the person");
  const roomy = await encodeText(text, ids.identity.ids, skip, progress);
  if (options.unloadAfterUse) await Promise.all(text.map(({ session }) => session.unload()));
  next("photos");
  const tokens = await encodePhotos(identity, pixels, faces, progress);
  next("fusion");
  const context = await stackIds(identity, roomy.context, ids.identity.places, tokens, progress);
  if (options.unloadAfterUse) await Promise.all([identity.encode.unload(), identity.fuse.unload()]);
  progress.step("encode", steps, steps);
  return { text: plain, identity: { context, pooled: roomy.pooled }, negative };
}

interface DenoiseInput {
  readonly texts: Texts;
  readonly sampler: Sampler;
  readonly seed: number;
  readonly dims: readonly number[];
  readonly progress: Progress;
  readonly emit: (event: GenerateEvent) => void;
  readonly signal: AbortSignal;
}

/** The loop that answers the sampler's queries: the one place that knows of merging, progress and cancelling. */
async function denoise(
  { unet, options }: Models,
  request: GenerateRequest,
  { texts, sampler, seed, dims, progress, emit, signal }: DenoiseInput,
): Promise<{ initialNoise: Float32Array; final: Float32Array }> {
  const [images, channels, height, width] = dims as [number, number, number, number];
  const generator = request.generatorDevice === "cuda" ? new CudaPhiloxGenerator(seed) : new TorchCpuGenerator(seed);
  const initialNoise =
    request.latents === undefined
      ? generator.randn(images * channels * height * width)
      : await readLatents(request.latents, dims);
  const guided = isGuided(request.guidanceScale);
  const pixels = [request.height ?? height * 8, request.width ?? width * 8] as const;
  const conditioning: Conditioning = {
    images,
    channels,
    height,
    width,
    guidanceScale: request.guidanceScale,
    guidanceRescale: request.guidanceRescale,
    negative: texts.negative,
    timeIds: timeIds(
      { ...request, originalSize: request.originalSize ?? pixels, targetSize: request.targetSize ?? pixels },
      images,
      guided,
    ),
  };
  const mergeStep = mergeStepOf(request);
  const total = sampler.timesteps.length;
  signal.throwIfAborted();
  const session = await unet.session.get(progress);
  const sampling = sampler.sample(
    initialNoise.map((v) => v * sampler.initNoiseSigma),
    { noise: generator, eta: request.eta },
  );
  let asked = sampling.next();
  while (!asked.done) {
    signal.throwIfAborted();
    const query = asked.value;
    const text = texts.identity === undefined || query.index <= mergeStep ? texts.text : texts.identity;
    const start = performance.now();
    const output = await evaluate(session, query.sample, query.timestep, text, conditioning);
    refuseNaN(output, query, total);
    progress.evaluated((performance.now() - start) / 1000, query.index + 1, total);
    if (request.preview) emit({ type: "preview", step: query.index + 1, images: await previews(query.original(output), dims) });
    asked = sampling.next(output);
  }
  if (options.unloadAfterUse) await unet.session.unload();
  return { initialNoise, final: asked.value };
}

function refuseNaN(output: Float32Array, { index }: Query, total: number): void {
  if (output.every(Number.isFinite)) return;
  throw new UserError(
    "output/nan",
    `The model's output is not a number at evaluation ${index + 1} of ${total}.`,
    "Its weights, or those of the adapter or a LoRA, are damaged or do not belong together: try without LoRAs, and download the files again.",
  );
}

const pictureOf = (latents: Float32Array, dims: readonly number[], index: number) => {
  const [, channels, height, width] = dims as [number, number, number, number];
  const size = channels * height * width;
  return { channels, height, width, data: latents.slice(index * size, (index + 1) * size) };
};

async function previews(latents: Float32Array, dims: readonly number[]): Promise<Uint8Array[]> {
  return Promise.all(
    Array.from({ length: dims[0]! }, (_, i) => {
      const { data, width, height } = pictureOf(latents, dims, i);
      return encodePng(previewLatents(data, width, height));
    }),
  );
}

async function finished(picture: Rgb8, index: number, made: PictureSettings): Promise<ImageEvent> {
  const settings = settingsJson(made);
  const png = await encodePng(picture, { parameters: settingsText(made), settings });
  return { type: "image", index, png, width: picture.width, height: picture.height, seed: made.request.seed, settings };
}

async function unloadAll({ text, identity, unet, vae }: Models): Promise<void> {
  const sessions = [...text.map(({ session }) => session), identity?.encode, identity?.fuse, unet.session, vae.session];
  await Promise.all(sessions.map((session) => session?.unload()));
}
