import type { GenerateEvent } from "../../contract/events.ts";
import { UserError } from "../../core/errors.ts";
import { CudaPhiloxGenerator } from "../../core/random/cuda-philox-generator.ts";
import type { NormalSource } from "../../core/random/normal-source.ts";
import { TorchCpuGenerator } from "../../core/random/torch-cpu-generator.ts";
import { encodePng } from "../../image/index.ts";
import type { Device } from "../../runtime/device.ts";
import type { Query, Sampler } from "../../samplers/sampler.ts";
import type { TextEmbeds } from "../../sessions/text/text-stage.ts";
import type { UNetSessions } from "../../sessions/unet-sessions.ts";
import type { Decoder } from "../decode/decode.ts";
import type { Preview } from "../decode/preview.ts";
import type { Plane } from "../decode/tiles.ts";
import type { Texts } from "../encode/encode.ts";
import type { Progress } from "../progress.ts";
import type { SettledRequest } from "../settle.ts";
import { DeepCache } from "./deep-cache.ts";
import { type Conditioning, evaluate, guidedEvaluations } from "./denoiser.ts";
import { mergeStepOf } from "./merge-step.ts";
import { readLatents } from "./read-latents.ts";
import { TGate } from "./t-gate.ts";
import { timeIds } from "./time-ids.ts";

/** What a drawing is made with. */
export interface Denoiser {
  readonly unet: { readonly sessions: UNetSessions };
  /** Its factor tells the size of the picture, its tiny stand-in shows previews. */
  readonly vae: { readonly graph: { readonly factor: number } };
  readonly tinyVae: Decoder | undefined;
  readonly device: Device;
  readonly unloadAfterUse: boolean;
}

/** A request ready to be drawn. */
export interface Prepared {
  readonly request: SettledRequest;
  readonly texts: Texts;
  readonly seed: number;
}

export interface DenoiseOptions {
  readonly sampler: Sampler;
  /** [pictures of all requests, channels, height, width] */
  readonly dims: readonly [number, number, number, number];
  /** Shows the pictures after each step, if wished. */
  readonly preview?: Preview | undefined;
  readonly progress: Progress;
  readonly emit: (event: GenerateEvent) => void;
  readonly signal: AbortSignal;
}

/**
 * The loop that answers the sampler's queries: the one place that knows of merging, progress and cancelling. Requests are
 * drawn side by side, each from its own seed and with its own merge step; guidance, size, sampler and caching they share.
 */
export async function denoise(
  { unet, vae, tinyVae, device, unloadAfterUse }: Denoiser,
  prepared: readonly Prepared[],
  { sampler, dims, preview, progress, emit, signal }: DenoiseOptions,
): Promise<{ initialNoise: Float32Array; final: Float32Array }> {
  const [images, channels, height, width] = dims;
  const sources = prepared.map(({ request, seed }) =>
    request.generatorDevice === "cuda" ? new CudaPhiloxGenerator(seed) : new TorchCpuGenerator(seed),
  );
  const noise = sideBySide(
    sources,
    prepared.map(({ request }) => request.numImagesPerPrompt / images),
  );
  const initialNoise = new Float32Array(images * channels * height * width);
  let filled = 0;
  for (const [i, { request }] of prepared.entries()) {
    const own = [request.numImagesPerPrompt, channels, height, width];
    const size = own.reduce((a, b) => a * b, 1);
    const latents = request.latents === undefined ? sources[i]!.randn(size) : await readLatents(request.latents, own);
    initialNoise.set(latents, filled);
    filled += size;
  }
  const { guidanceScale, guidanceRescale, guidanceEnd, eta } = prepared[0]!.request;
  /** One for each picture. */
  const each = (textOf: (one: Prepared) => TextEmbeds): TextEmbeds[] =>
    prepared.flatMap((one) => Array<TextEmbeds>(one.request.numImagesPerPrompt).fill(textOf(one)));
  const pixels = [height * vae.graph.factor, width * vae.graph.factor] as const;
  const conditioning = (guided: boolean): Conditioning => ({
    images,
    channels,
    height,
    width,
    guidanceScale: guided ? guidanceScale : 1,
    guidanceRescale,
    negatives: each(({ texts }) => texts.negative),
    device,
    timeIds: timeIdRows(prepared, pixels, guided),
  });
  const [withGuidance, without] = [conditioning(true), conditioning(false)];
  const total = sampler.timesteps.length;
  const guided = guidedEvaluations({ guidanceScale, guidanceEnd }, total);
  signal.throwIfAborted();
  const evaluateAt = await evaluator(unet.sessions, prepared[0]!.request, images, progress);
  const sampling = sampler.sample(
    initialNoise.map((v) => v * sampler.initNoiseSigma),
    { noise, eta },
  );
  let asked = sampling.next();
  while (!asked.done) {
    signal.throwIfAborted();
    const query = asked.value;
    const texts = each(({ request, texts: { text, identity } }) =>
      identity === undefined || query.index <= mergeStepOf(request) ? text : identity,
    );
    const start = performance.now();
    const output = await evaluateAt(query, texts, query.index < guided ? withGuidance : without);
    refuseNaN(output, query, total);
    progress.evaluated((performance.now() - start) / 1000, query.index + 1, total);
    if (preview) emit({ type: "preview", step: query.index + 1, images: await previews(query.original(output), dims, preview) });
    asked = sampling.next(output);
  }
  if (unloadAfterUse) await Promise.all([unet.sessions.unload(), tinyVae?.session.unload()]);
  return { initialNoise, final: asked.value };
}

/** Answers a query, with what the request asks for to save work. */
async function evaluator(
  sessions: UNetSessions,
  request: SettledRequest,
  images: number,
  progress: Progress,
): Promise<(query: Query, texts: readonly TextEmbeds[], conditioning: Conditioning) => Promise<Float32Array>> {
  const { kind, tokenDownsampling } = sessions.formFor(request);
  if (kind === "gated") {
    const gate = new TGate(await sessions.gated(tokenDownsampling, progress), request.tGate!, images);
    return ({ sample, timestep, index }, texts, how) => evaluate(gate, sample, timestep, texts, gate.begin(index, how));
  }
  if (kind === "parts") {
    const cache = new DeepCache(await sessions.parts(tokenDownsampling, progress), request.deepCache ?? 1);
    return ({ sample, timestep }, texts, how) => {
      cache.begin(texts, how);
      return evaluate(cache, sample, timestep, texts, how);
    };
  }
  const unet = await sessions.whole(tokenDownsampling, progress);
  return ({ sample, timestep }, texts, how) => evaluate(unet, sample, timestep, texts, how);
}

/** One picture's latents. */
export function pictureOf(latents: Float32Array, dims: readonly number[], index: number): Plane {
  const [, channels, height, width] = dims as [number, number, number, number];
  const size = channels * height * width;
  return { channels, height, width, data: latents.slice(index * size, (index + 1) * size) };
}

/** Each source's numbers for its own share of what is drawn. */
function sideBySide(sources: readonly NormalSource[], shares: readonly number[]): NormalSource {
  return {
    randn(count) {
      const out = new Float32Array(count);
      let filled = 0;
      for (const [i, source] of sources.entries()) {
        const own = source.randn(Math.round(count * shares[i]!));
        out.set(own, filled);
        filled += own.length;
      }
      return out;
    },
  };
}

/** With guidance, the first half of each request's rows goes to its negative text, the second to its prompt. */
function timeIdRows(prepared: readonly Prepared[], pixels: readonly [number, number], guided: boolean): number[][] {
  const rows = prepared.map(({ request }) => {
    const sizes = { ...request, originalSize: request.originalSize ?? pixels, targetSize: request.targetSize ?? pixels };
    return timeIds(sizes, request.numImagesPerPrompt, guided);
  });
  if (!guided) return rows.flat();
  return [...rows.flatMap((own) => own.slice(0, own.length / 2)), ...rows.flatMap((own) => own.slice(own.length / 2))];
}

function refuseNaN(output: Float32Array, { index }: Query, total: number): void {
  if (output.every(Number.isFinite)) return;
  throw new UserError(
    "output/nan",
    `The model's output is not a number at evaluation ${index + 1} of ${total}.`,
    "Its weights, or those of the adapter or a LoRA, are damaged or do not belong together: try without LoRAs, and download the files again.",
  );
}

/** One PNG for each picture. */
async function previews(latents: Float32Array, dims: readonly number[], preview: Preview): Promise<Uint8Array[]> {
  const images: Uint8Array[] = [];
  for (let i = 0; i < dims[0]!; i++) images.push(await encodePng(await preview(pictureOf(latents, dims, i))));
  return images;
}
