import { drawnImages } from "../contract/drawn-images.ts";
import type { GenerateRequest } from "../contract/request.ts";
import type { Seed } from "../contract/seed.ts";
import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import type { Sampler } from "../samplers/sampler.ts";
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
 * @throws UserError clip-skip/out-of-range, requests/differ, size/not-multiple-of-…, decoder/no-tiny-vae, memory/too-little; those of createSampler and of the checks of
 *   DeepCache, T-GATE and token downsampling
 */
export function planOf(models: Planned, given: readonly GenerateRequest[]): Plan {
  const settled = given.map((request) => {
    const decoder = request.decoder ?? usualDecoder(models);
    return settle({ ...request, decoder }, models.fewStep);
  });
  const requests = settled.map(({ request }) => request);
  const first = requests[0]!;
  const size = sizeOf(models, first);
  for (const request of requests) refuseDifferent(sharedBy(models, first), sharedBy(models, request));
  const sampler = samplerOf(first, models.scheduler, models.fewStep);
  const evaluations = sampler.timesteps.length;
  const config = models.unet.graph.config;
  for (const request of requests) {
    checkExtensions(extensionsOf(request), { config, evaluations });
    decoderOf(models, request);
  }
  for (const request of requests) checkClipSkip(models.text, request);
  const guided = guidedEvaluations(first, evaluations) > 0;
  const count = requests.reduce((sum, request) => sum + drawnImages(request), 0);
  const picture = { width: size.width, height: size.height, rows: count * (guided ? 2 : 1) };
  const person = models.identity !== undefined;
  const notices = [
    ...requests.flatMap((request) => checkRoom(models, request, picture)),
    ...settled.flatMap((each) => each.notices),
    ...(person ? requests.flatMap((request) => mergeStepNotices(request, evaluations)) : []),
  ];
  return {
    requests: requests.map((request) => ({
      request,
      seed: seedOf(request),
      mergeStep: person ? mergeStepOf(request) : undefined,
    })),
    size,
    sampler,
    guided,
    count,
    notices: once(notices),
  };
}

/**
 * Values that requests in one batch must share: options of the sampler, of guidance and of the UNet. With DeepCache they must share the
 * merge step as well, and the steps at which prompts change, since the deep layers are evaluated when the identity is merged in.
 */
function sharedBy(models: Planned, request: SettledRequest): Readonly<Record<string, unknown>> {
  const { width, height } = sizeOf(models, request);
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
  return { width, height, ...sampling, ...guidance, ...shortcuts };
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
