import { drawnImages } from "../contract/drawn-images.ts";
import type { GenerateEvent, GenerateResult, ImageEvent } from "../contract/events.ts";
import type { GenerateRequest } from "../contract/request.ts";
import type { Notice } from "../core/notice.ts";
import type { Rgb8 } from "../image/index.ts";
import { decodePicture } from "./decode/decode-picture.ts";
import { judgeOf, type ToJudge } from "./decode/likeness.ts";
import { previewOf } from "./decode/preview.ts";
import { denoise, pictureOf } from "./denoise/denoise.ts";
import { extensionsOf } from "./denoise/extensions.ts";
import type { Prepared } from "./denoise/prepared.ts";
import { chooseTexts } from "./encode/choose-texts.ts";
import { encode, unloadFaces } from "./encode/encode.ts";
import type { UsedFace } from "./encode/person-photos.ts";
import type { Opened } from "./load/opened.ts";
import { fillsMasks, type Plan, planOf } from "./plan.ts";
import { Progress } from "./progress.ts";
import type { SettledRequest } from "./settle.ts";
import { encodeStart } from "./start/encode-start.ts";
import { filledMask, latentMaskOf } from "./start/start-mask.ts";
import { openStart, type StartPicture } from "./start/start-picture.ts";

/**
 * Generates pictures from photos and text: PhotoMaker (arXiv 2312.04461), section 3, with delayed subject conditioning; plain
 * SDXL without an adapter. The order of steps, and of draws from the seed, is that of the official pipeline.
 * Several requests are drawn in one batch; each gives the same pictures as alone, except for the rounding of sums.
 * @param given one or more requests; with more than one, events carry the index of theirs
 * @returns the result of each request
 * @throws UserError those of planOf, previewOf, chooseTexts, encode, denoise and decodePicture
 * @see TencentARC/PhotoMaker 060b4fc photomaker/pipeline.py __call__
 */
export async function generate(
  opened: Opened,
  given: readonly GenerateRequest[],
  send: (event: GenerateEvent) => void,
  signal: AbortSignal,
): Promise<GenerateResult[]> {
  if (given.length === 0) return [];
  const told = telling(given.length, send);
  const progress = new Progress(told.all, signal);
  signal.throwIfAborted();
  const starts = await openStarts(opened, given);
  const plan = planOf(opened, sized(given, starts), starts);
  const preview = plan.requests.some(({ request }) => request.preview) ? previewOf(opened, progress) : undefined;
  told.note(plan.notices);
  for (const [i, start] of starts.entries()) told.note(start?.notices ?? [], i);
  try {
    const prepared = await progress.timed("encode", () => encodeAll(opened, plan, starts, { progress, told, signal }));
    const dims = latentDims(plan);
    for (const [i, { request }] of plan.requests.entries()) {
      const drawn = request.numImagesPerPrompt * dims[1] * dims[2] * dims[3];
      if (request.generatorDevice === "cuda" && drawn > CUDA_SAME) told.note([cudaNotice(drawn)], i);
    }
    const { initialNoise, final } = await denoise(opened, prepared, {
      sampler: plan.sampler,
      from: plan.from,
      dims,
      preview,
      progress,
      emit: told.all,
      signal,
    });
    const images = await progress.timed("decode", () =>
      decodeAll(opened, plan, starts, prepared, final, { progress, told, signal }),
    );
    if (opened.unloadAfterUse) await Promise.all([unloadDecoders(opened), unloadFaces(opened.faces)]);
    const timings = progress.timings();
    let from = 0;
    return plan.requests.map(({ request, seed }, i) => {
      const own = ownLatents({ initialNoise, final }, dims, from, drawnImages(request));
      from += drawnImages(request);
      told.one(i, { type: "done", seed, timings, modelMemory: opened.memory(), latents: own });
      return { images: images[i]!, seed, notices: told.notices(i), timings, latents: own };
    });
  } catch (error) {
    if (opened.unloadAfterUse) await unloadAll(opened);
    throw error;
  }
}

interface Telling {
  /** Sends an event that concerns all requests. */
  all(event: GenerateEvent): void;
  one(request: number, event: GenerateEvent): void;
  /** @param request index of the request; all requests when absent */
  note(notices: readonly Notice[], request?: number): void;
  notices(request: number): readonly Notice[];
}

/** Sends events, with the index of the request where there are several, and collects notices. */
function telling(count: number, send: (event: GenerateEvent) => void): Telling {
  const noted: { readonly request: number | undefined; readonly notice: Notice }[] = [];
  const one = (request: number | undefined, event: GenerateEvent): void =>
    send(count === 1 || request === undefined ? event : { ...event, request });
  return {
    all: send,
    one,
    note(notices, request) {
      for (const notice of notices) {
        noted.push({ request, notice });
        one(request, { type: "notice", notice });
      }
    },
    notices: (request) => noted.flatMap((n) => (n.request === undefined || n.request === request ? [n.notice] : [])),
  };
}

interface Working {
  readonly progress: Progress;
  readonly told: Telling;
  readonly signal: AbortSignal;
}

type Starts = readonly (StartPicture | undefined)[];

/** @throws UserError those of openStart; weights/missing and others if the VAE has no encoder */
async function openStarts(opened: Opened, given: readonly GenerateRequest[]): Promise<Starts> {
  const { unet, vae, pictureEncoder } = opened;
  const own = { factor: vae.graph.factor, side: unet.graph.config.sampleSize * vae.graph.factor };
  const starts: (StartPicture | undefined)[] = [];
  for (const request of given) starts.push(await openStart(request, own));
  if (starts.some((start) => start !== undefined)) pictureEncoder.check();
  return starts;
}

/** Requests with the sizes that follow from their start pictures. */
const sized = (given: readonly GenerateRequest[], starts: Starts): GenerateRequest[] =>
  given.map((request, i) => ({ ...request, ...starts[i]?.asked }));

async function encodeAll(opened: Opened, plan: Plan, starts: Starts, { progress, told, signal }: Working): Promise<Prepared[]> {
  const { sessions } = opened.unet;
  const prepared: Prepared[] = [];
  for (const [i, { request, seed }] of plan.requests.entries()) {
    const chosen = await chooseTexts(request, BigInt(seed));
    let faces: readonly UsedFace[] | undefined;
    let toJudge: ToJudge | undefined;
    const texts = await encode(
      opened,
      { ...request, ...chosen },
      {
        guided: plan.guided,
        evaluations: plan.sampler.timesteps.length,
        loras: opened.options.loras,
        progress,
        note: (notices) => told.note(notices, i),
        signal,
        onRead: (seen) => {
          faces = seen.used;
          toJudge = { vectors: seen.vectors, embeddings: seen.embeddings, ofPack: seen.ofPack };
          if (opened.apart) void sessions.loadAhead(extensionsOf(request), progress);
        },
      },
    );
    const start = starts[i];
    const own = { request, texts, seed, chosen, faces, toJudge };
    prepared.push(start === undefined ? own : { ...own, start: await startOf(opened, request, start, progress) });
  }
  if (opened.unloadAfterUse) await opened.pictureEncoder.session.unload();
  return prepared;
}

/** What a drawing starts from, encoded. */
async function startOf(
  opened: Opened,
  request: SettledRequest,
  start: StartPicture,
  progress: Progress,
): Promise<Prepared["start"]> {
  const fills = fillsMasks(opened);
  const encoded = await encodeStart(opened.pictureEncoder, start, fills, progress);
  const filled = fills && start.mask ? latentMaskOf(filledMask(start.mask), opened.pictureEncoder.factor).shares : undefined;
  return { start: encoded, filled, strength: request.strength ?? 1, images: drawnImages(request) };
}

async function decodeAll(
  opened: Opened,
  plan: Plan,
  starts: Starts,
  prepared: readonly Prepared[],
  final: Float32Array,
  { progress, told, signal }: Working,
): Promise<ImageEvent[][]> {
  const { requests, size, count } = plan;
  const dims = latentDims(plan);
  let at = 0;
  const images: ImageEvent[][] = [];
  for (const [i, one] of prepared.entries()) {
    const own: ImageEvent[] = [];
    const judged = one.request.likeness === true && opened.faces && one.toJudge ? judgeOf(opened.faces, one.toJudge) : undefined;
    const judge = judged && ((picture: Rgb8) => judged(picture, signal));
    const first = one.request.onlyImage ?? 0;
    for (let index = first; index < first + drawnImages(one.request); index++) {
      signal.throwIfAborted();
      progress.step("decode", at, count);
      const mergeStep = one.texts.identity && requests[i]!.mergeStep;
      const [width, height] = [one.request.width ?? size.width, one.request.height ?? size.height];
      const picture = { ...one, index, mergeStep, judge, width, height, paste: starts[i]?.paste };
      const image = await decodePicture(opened, picture, pictureOf(final, dims, at++), progress);
      own.push(image);
      told.one(i, image);
    }
    images.push(own);
  }
  progress.step("decode", count, count);
  return images;
}

/** Largest count of random numbers that every recent GPU draws in one pass of its grid, so that they are the same everywhere. */
const CUDA_SAME = 100_000;
const cudaNotice = (count: number): Notice => ({
  code: "seed/depends-on-gpu",
  message: `PyTorch on a GPU draws as many random numbers as this needs (${count}) in an order that depends on the GPU, so this picture may differ from one drawn there with the same seed. Fewer or smaller pictures at once avoid that.`,
});

type Dims = readonly [images: number, channels: number, height: number, width: number];

const latentDims = ({ count, size }: Plan): Dims => [count, size.channels, size.height / size.factor, size.width / size.factor];

/** Selects the latents of one request's pictures. */
function ownLatents(
  { initialNoise, final }: Pick<GenerateResult["latents"], "initialNoise" | "final">,
  [all, ...picture]: Dims,
  from: number,
  images: number,
): GenerateResult["latents"] {
  const dims = [images, ...picture];
  if (images === all) return { initialNoise, final, dims };
  const size = picture.reduce((a, b) => a * b);
  const own = (latents: Float32Array): Float32Array => latents.slice(from * size, (from + images) * size);
  return { initialNoise: own(initialNoise), final: own(final), dims };
}

const unloadDecoders = ({ vae, tinyVae }: Pick<Opened, "vae" | "tinyVae">): Promise<unknown> =>
  Promise.all([vae.session.unload(), tinyVae?.session.unload()]);

async function unloadAll({ text, identity, unet, vae, tinyVae, faces, pictureEncoder }: Opened): Promise<void> {
  const sessions = [
    ...text.map(({ session }) => session),
    identity?.encode,
    identity?.fuse,
    unet.sessions,
    pictureEncoder.session,
  ];
  await Promise.all([...sessions.map((session) => session?.unload()), unloadDecoders({ vae, tinyVae }), unloadFaces(faces)]);
}
