import { drawnImages } from "../../contract/drawn-images.ts";
import type { GenerateEvent } from "../../contract/events.ts";
import { UserError } from "../../core/errors.ts";
import { CudaPhiloxGenerator } from "../../core/random/cuda-philox-generator.ts";
import type { NormalSource } from "../../core/random/normal-source.ts";
import { TorchCpuGenerator } from "../../core/random/torch-cpu-generator.ts";
import { encodePng } from "../../image/index.ts";
import type { Device } from "../../runtime/device.ts";
import { askAbout } from "../../samplers/ask.ts";
import type { Query, Sampler, Sampling } from "../../samplers/sampler.ts";
import type { DecoderGraph } from "../../sessions/graphs.ts";
import type { UNetSessions } from "../../sessions/unet-sessions.ts";
import type { Decoder } from "../decode/decode.ts";
import { inDenoiserScale } from "../decode/latent-scale.ts";
import type { Preview } from "../decode/preview.ts";
import type { Plane } from "../decode/tiles.ts";
import type { Progress } from "../progress.ts";
import type { SettledRequest } from "../settle.ts";
import { type DenoiserOptions, evaluate } from "./denoiser.ts";
import { extensionsOf } from "./extensions.ts";
import { type Begun, beginFrom, type SampledStart, sampleStart } from "./from-picture.ts";
import type { Prepared } from "./prepared.ts";
import { readLatents } from "./read-latents.ts";
import { textGuidance } from "./text-guidance.ts";

/** What a drawing is made with. */
export interface Denoiser {
  readonly unet: { readonly sessions: UNetSessions };
  /** Its factor tells the size of the picture, its config the scale of latents, its tiny stand-in shows previews. */
  readonly vae: { readonly graph: Pick<DecoderGraph, "factor" | "config"> };
  readonly tinyVae: Decoder | undefined;
  readonly device: Device;
  readonly unloadAfterUse: boolean;
}

export interface DenoiseOptions {
  readonly sampler: Sampler;
  /** Index of the first evaluation, for pictures that start from others; 0 when absent. */
  readonly from?: number;
  /** [pictures of all requests, channels, height, width] */
  readonly dims: readonly [number, number, number, number];
  /** Shows the pictures after each step, if wished. */
  readonly preview?: Preview | undefined;
  readonly progress: Progress;
  readonly emit: (event: GenerateEvent) => void;
  readonly signal: AbortSignal;
}

/**
 * The loop that answers the sampler's queries: the one place that knows of progress and cancelling. Requests are
 * drawn side by side, each from its own seed and with its own merge step; guidance, size, sampler and extensions they share.
 */
export async function denoise(
  { unet, vae, tinyVae, device, unloadAfterUse }: Denoiser,
  prepared: readonly Prepared[],
  { sampler, from = 0, dims, preview, progress, emit, signal }: DenoiseOptions,
): Promise<{ initialNoise: Float32Array; final: Float32Array }> {
  const [images, channels, height, width] = dims;
  const generators = prepared.map(({ request, seed }) =>
    request.generatorDevice === "cuda" ? new CudaPhiloxGenerator(seed) : new TorchCpuGenerator(seed),
  );
  const sources = prepared.map(({ request }, i) => ofDrawn(request, generators[i]!));
  const noise = sideBySide(
    sources,
    prepared.map(({ request }) => drawnImages(request) / images),
  );
  const initialNoise = new Float32Array(images * channels * height * width);
  let filled = 0;
  const starts: SampledStart[] = [];
  const scaled = (data: Float32Array): Float32Array => inDenoiserScale({ data, channels }, vae.graph.config);
  for (const [i, { request, start }] of prepared.entries()) {
    const size = drawnImages(request) * channels * height * width;
    const all = [request.numImagesPerPrompt, channels, height, width];
    const draw = async (): Promise<Float32Array> =>
      request.latents === undefined ? sources[i]!.randn(size) : shareOf(await readLatents(request.latents, all), request);
    const begun = start && (await sampleStart(start, generators[i]!, scaled, draw));
    if (begun !== undefined) starts.push(begun.sampled);
    initialNoise.set(begun?.noise ?? (await draw()), filled);
    filled += size;
  }
  const [{ request }] = prepared as [Prepared];
  const total = sampler.timesteps.length;
  signal.throwIfAborted();
  const begun = starts.length === 0 ? undefined : beginFrom(starts, initialNoise, sampler, from);
  const wished = extensionsOf(request);
  const loaded = await unet.sessions.get(wished, progress);
  const denoiser: DenoiserOptions = {
    unet: loaded,
    guidance: textGuidance(prepared, [height * vae.graph.factor, width * vae.graph.factor], total),
    extensions: wished.map((extension) => extension.start(loaded.parts)),
    dims,
    device,
    beside: begun?.beside,
  };
  const sampling = sampler.sample(begun?.latents ?? initialNoise.map((v) => v * sampler.initNoiseSigma), {
    noise,
    eta: request.eta,
    from,
  });
  let asked = sampling.next();
  while (!asked.done) {
    signal.throwIfAborted();
    const query = begun?.putBack === undefined ? asked.value : restored(sampling, asked.value, begun.putBack);
    const start = performance.now();
    const output = await evaluate(denoiser, query);
    refuseNaN(output, query, total);
    progress.evaluated((performance.now() - start) / 1000, query.index + 1 - from, total - from);
    if (preview)
      emit({ type: "preview", step: query.index + 1 - from, images: await previews(query.original(output), dims, preview) });
    asked = sampling.next(output);
  }
  if (unloadAfterUse) await Promise.all([unet.sessions.unload(), tinyVae?.session.unload()]);
  return { initialNoise, final: begun === undefined ? asked.value : begun.finish(asked.value) };
}

/** A query about latents in which what masks keep is restored. */
function restored(sampling: Sampling, query: Query, putBack: NonNullable<Begun["putBack"]>): Query {
  const latents = putBack(query.latents, query.index);
  return latents === query.latents ? query : askAbout(sampling, latents);
}

/** One picture's latents. */
export function pictureOf(latents: Float32Array, dims: readonly number[], index: number): Plane {
  const [, channels, height, width] = dims as [number, number, number, number];
  const size = channels * height * width;
  return { channels, height, width, data: latents.slice(index * size, (index + 1) * size) };
}

/** What is drawn for all pictures of a request, as far as it is for those that are wanted. */
function ofDrawn(request: SettledRequest, source: NormalSource): NormalSource {
  if (request.onlyImage === undefined) return source;
  return { randn: (count) => shareOf(source.randn(count * request.numImagesPerPrompt), request) };
}

/** The wanted picture's share of what belongs to all pictures of a request. */
function shareOf(all: Float32Array, { onlyImage, numImagesPerPrompt }: SettledRequest): Float32Array {
  if (onlyImage === undefined) return all;
  const size = all.length / numImagesPerPrompt;
  return all.slice(onlyImage * size, (onlyImage + 1) * size);
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
