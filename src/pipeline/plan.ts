import { drawnImages } from "../contract/drawn-images.ts";
import type { GenerateRequest } from "../contract/request.ts";
import type { Seed } from "../contract/seed.ts";
import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import type { Sampler } from "../samplers/sampler.ts";
import { startFor } from "../samplers/starts.ts";
import { switchesOf } from "../text/prompt-pieces.ts";
import { parsePrompt } from "../text/prompt-tree.ts";
import { decoderOf, usualDecoder } from "./decode/decode.ts";
import { checkExtensions, extensionsOf } from "./denoise/extensions.ts";
import { mergeStepNotices, mergeStepOf } from "./denoise/merge-step.ts";
import { guidedEvaluations } from "./denoise/text-guidance.ts";
import { checkClipSkip } from "./encode/clip-skip.ts";
import { checkRoom } from "./load/check-room.ts";
import type { Opened } from "./load/opened.ts";
import { type SettledRequest, samplerOf, settle } from "./settle.ts";
import type { StartPicture } from "./start/start-picture.ts";

export interface Size {
  readonly width: number; // pixels
  readonly height: number;
  /** Channels of the latents; the UNet may take further channels. */
  readonly channels: number;
  /** Pixels for each latent, along a side. */
  readonly factor: number;
}

export interface PlannedRequest {
  readonly request: SettledRequest;
  readonly seed: Seed;
  /** Last evaluation without the person, counted from 0; undefined without an adapter. */
  readonly mergeStep: number | undefined;
}

/** Requests that are drawn in one batch, with every decision that needs no weights. */
export interface Plan {
  readonly requests: readonly PlannedRequest[];
  readonly size: Size;
  readonly sampler: Sampler;
  /** Index of the first evaluation: 0, unless pictures start from others. */
  readonly from: number;
  /** Whether the negative text is evaluated; otherwise it is not encoded. */
  readonly guided: boolean;
  /** Number of pictures of all requests. */
  readonly count: number;
  readonly notices: readonly Notice[];
}

type Planned = Pick<
  Opened,
  "text" | "fewStep" | "scheduler" | "identity" | "unet" | "vae" | "tinyVae" | "sharp" | "room" | "unloadAfterUse"
>;

/**
 * Plans how requests are drawn, and refuses those that cannot be.
 * @param given one or more requests
 * @param starts the pictures that they start from, whose sizes are those that are drawn
 * @throws UserError mask/needed, strength/invalid, clip-skip/out-of-range, requests/differ, size/not-multiple-of-…, decoder/no-tiny-vae, memory/too-little; those of createSampler and of the checks of
 *   DeepCache, T-GATE and token downsampling
 */
export function planOf(
  models: Planned,
  given: readonly GenerateRequest[],
  starts: readonly (StartPicture | undefined)[] = [],
): Plan {
  const settled = given.map((request) => settle({ ...request, decoder: decoderFor(models, request) }, models.fewStep));
  const requests = settled.map(({ request }) => request);
  const first = requests[0]!;
  const size = { ...sizeOf(models, first), ...drawnSizeOf(starts[0]) };
  for (const [i, request] of requests.entries())
    refuseDifferent(sharedBy(models, first, starts[0]), sharedBy(models, request, starts[i]));
  const sampler = samplerOf(first, models.scheduler, models.fewStep);
  const evaluations = sampler.timesteps.length;
  const config = models.unet.graph.config;
  for (const request of requests) {
    checkExtensions(extensionsOf(request), { config, evaluations });
    decoderOf(models, request);
  }
  for (const request of requests) checkClipSkip(models.text, request);
  for (const [i, request] of requests.entries()) checkMask(models, request, starts[i]);
  const from = first.image === undefined ? 0 : startFor(first.strength ?? 1, first.numInferenceSteps, sampler.starts);
  const guided = guidedEvaluations(first, evaluations) > from;
  const count = requests.reduce((sum, request) => sum + drawnImages(request), 0);
  const picture = { width: size.width, height: size.height, rows: count * (guided ? 2 : 1) };
  const person = models.identity !== undefined;
  const notices = [
    // the VAE's encoder takes about what its decoder takes, also where a tiny VAE decodes
    ...requests.flatMap((request) => checkRoom(models, request.image === undefined ? request : { decoder: "vae" }, picture)),
    ...settled.flatMap((each) => each.notices),
    ...(person ? requests.flatMap((request) => mergeStepNotices(request, evaluations, from)) : []),
  ];
  return {
    requests: requests.map((request) => ({
      request,
      seed: seedOf(request),
      mergeStep: person ? mergeStepOf(request) : undefined,
    })),
    size,
    sampler,
    from,
    guided,
    count,
    notices: once(notices),
  };
}

/**
 * Values that requests in one batch must share: options of the sampler, of guidance and of the UNet. With DeepCache they must share the
 * merge step as well, and the steps at which prompts change, since the deep layers are evaluated when the identity is merged in.
 */
function sharedBy(models: Planned, request: SettledRequest, start: StartPicture | undefined): Readonly<Record<string, unknown>> {
  const { width, height } = { ...sizeOf(models, request), ...drawnSizeOf(start) };
  const { image, strength } = request;
  const { numInferenceSteps, scheduler, timestepSpacing, eta } = request;
  const { guidanceScale, guidanceRescale, guidanceEnd } = request;
  const { deepCache, tGate, tokenDownsampling } = request;
  const sampling = { numInferenceSteps, scheduler, timestepSpacing, eta };
  const guidance = { guidanceScale, guidanceRescale, guidanceEnd };
  const shortcuts = {
    deepCache,
    tGate,
    tokenDownsampling,
    ...(deepCache !== undefined && { startMergeStep: mergeStepOf(request), promptSchedule: scheduleOf(request) }),
  };
  return { width, height, image: image && "given", strength, ...sampling, ...guidance, ...shortcuts };
}

/** At which steps the texts change, as text: of all prompts. */
function scheduleOf(request: SettledRequest): string {
  if (request.promptSyntax === "none") return "";
  const { prompt, prompt2, negativePrompt, negativePrompt2, numInferenceSteps } = request;
  const texts = [prompt, prompt2, negativePrompt, negativePrompt2];
  const steps = texts.flatMap((text) => (text === undefined ? [] : switchesOf(parsePrompt(text).nodes, numInferenceSteps)));
  return [...new Set(steps)].toSorted((a, b) => a - b).join(" ");
}

function refuseDifferent(first: Readonly<Record<string, unknown>>, other: Readonly<Record<string, unknown>>): void {
  const key = Object.keys(first).find((name) => first[name] !== other[name]);
  if (key === undefined) return;
  throw new UserError(
    "requests/differ",
    `Requests that are drawn together differ in ${key}: ${first[key] ?? "not given"} and ${other[key] ?? "not given"}.`,
    `Give all of them the same ${key}, or draw them one after the other.`,
  );
}

const drawnSizeOf = (start: StartPicture | undefined) => start && { width: start.picture.width, height: start.picture.height };

/** Whether a UNet takes a mask and a masked picture beside the latents. */
export const fillsMasks = ({ unet, vae }: Pick<Opened, "unet" | "vae">): boolean =>
  unet.graph.config.inChannels > vae.graph.config.latentChannels;

/** @throws UserError mask/needed */
function checkMask(models: Planned, request: GenerateRequest, start: StartPicture | undefined): void {
  if (!fillsMasks(models) || start?.mask !== undefined) return;
  throw new UserError(
    "mask/needed",
    `This model is made to fill a mask (its UNet takes ${models.unet.graph.config.inChannels} channels), and there is no ${request.image === undefined ? "picture with a mask" : "mask"}.`,
    "Give --init-image and --mask (image, maskImage), or --outpaint; without them, take a model that draws from text alone.",
  );
}

const seedOf = ({ seed }: GenerateRequest): Seed => seed ?? Math.floor(Math.random() * 2 ** 32);

function sizeOf({ unet, vae }: Pick<Opened, "unet" | "vae">, request: GenerateRequest): Size {
  const { sampleSize } = unet.graph.config;
  const { factor, config } = vae.graph;
  const size = { width: request.width ?? sampleSize * factor, height: request.height ?? sampleSize * factor };
  for (const [name, value] of Object.entries(size))
    if (value % factor !== 0)
      throw new UserError(
        `size/not-multiple-of-${factor}`,
        `${name} is ${value}, which is not a multiple of ${factor}, as this model needs.`,
        `Take ${Math.ceil(value / factor) * factor}.`,
      );
  return { ...size, channels: config.latentChannels, factor };
}

/** Removes repeated notices, since requests often give the same ones. */
const once = (notices: readonly Notice[]): Notice[] => [...new Map(notices.map((notice) => [notice.message, notice])).values()];

/**
 * The decoder of a request. A picture that starts from another is put back into it, and so has its size.
 * @throws UserError decoder/no-sharp-decoder
 */
function decoderFor(models: Planned, { decoder, image }: GenerateRequest): NonNullable<GenerateRequest["decoder"]> {
  if (image === undefined) return decoder ?? usualDecoder(models);
  if (decoder !== "sharp") return decoder ?? "vae";
  throw new UserError(
    "decoder/no-sharp-decoder",
    "The request starts from a picture, and the sharp decoder draws pictures of twice the size, which do not fit into it.",
    "Leave --decoder (decoder in code) out.",
  );
}
