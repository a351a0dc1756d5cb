import { availableParallelism } from "node:os";
import { join } from "node:path";
import { UserError } from "../../core/errors.ts";
import { schedulerConfig, withDefaults } from "../../samplers/config.ts";
import { SDXL_SCHEDULER } from "../../samplers/create-sampler.ts";
import { BETA_DEFAULTS, noiseSchedule } from "../../samplers/noise-schedule.ts";
import { readersOf } from "../../sessions/text/readers.node.ts";
import { elementCount, type ModelFiles, openModel } from "../../weights/index.ts";
import { predictionInWords } from "../../weights/prediction.ts";
import type { Prediction } from "../diffusion.ts";
import { type TrainingPhotos, trainingPhotos } from "../photos/training-photos.ts";
import { type BatchProgress, type TrainingPhase, type TrainingProgress, type TrainingTask, train } from "../run.ts";
import { adapterBatch, type BatchSource } from "./batch.ts";
import { type AdapterConfig, comparable } from "./config.ts";
import { adapterGraph, textSettings } from "./graph.ts";
import { type EncodePhase, openLatents } from "./latents.ts";
import { refuseBlocks } from "./refuse-blocks.ts";
import { drawSamples } from "./samples.ts";
import { readStart, type StartWeights } from "./start.ts";
import { writeAdapter } from "./write-adapter.ts";

export interface TrainAdapterOptions {
  /** A local SDXL model: folder or single file. */
  readonly model: string;
  readonly modelConfig?: string | undefined;
  /** Folder of people: see {@link trainingPhotos}. */
  readonly data: string;
  readonly config: AdapterConfig;
  /** Weights that the ID encoder starts from: see {@link readStart}. */
  readonly init?: string | undefined;
  readonly out: string;
  /** When absent, one for each core; a single one for a model as large as SDXL. */
  readonly workers?: number | undefined;
  /** Threads per worker. When absent, one; all cores for the single worker of a large model. */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onPhotos?: ((photos: TrainingPhotos) => void) | undefined;
  /** See TrainingOptions. */
  readonly availableMemory?: number | undefined;
  /** Called as pictures are read and encoded. */
  readonly onPrepare?: ((what: "read" | "encode", done: number, total: number) => void) | undefined;
  readonly onPhase?: ((phase: TrainingPhase | EncodePhase) => void) | undefined;
  readonly onBatch?: ((progress: BatchProgress) => void) | undefined;
  readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
  readonly onNotice?: ((text: string) => void) | undefined;
}

/**
 * Trains a PhotoMaker V1 adapter for an SDXL model: arXiv 2312.04461, section 4. Writes checkpoint, metrics.jsonl, latents, samples and
 * finally the adapter to the folder `out`; a stopped run resumes from there.
 * @returns the adapter's path
 * @throws UserError those of openModel, refuseBlocks, trainingPhotos, readStart and train; train/prediction
 */
export async function trainAdapter(options: TrainAdapterOptions): Promise<string> {
  const { config, out, signal, onPrepare, onPhase, availableMemory } = options;
  const model = await openModel(options.model, options.modelConfig === undefined ? {} : { config: options.modelConfig });
  for (const { tensors } of Object.values(model.components)) refuseBlocks(tensors, model.path);
  for (const { message } of model.notices) options.onNotice?.(message);
  const schedule = scheduleOf(model);
  const start = await readStart(options.init, model, config);
  const photos = await trainingPhotos(options.data, {
    masks: config.masks,
    trigger: config.trigger,
    signal,
    onPhoto: (done, total) => onPrepare?.("read", done, total),
  });
  options.onPhotos?.(photos);
  const text = textSettings(model);
  const { readers, notices } = await readersOf(model, text);
  for (const { message } of notices) options.onNotice?.(message);
  const all = photos.people.flatMap((person) => person.photos);
  const latents = await openLatents(model.components.vae, {
    folder: join(out, "latents"),
    resolution: config.resolution,
    threads: options.threads,
    signal,
    onEncoded: onPhase,
    onPhoto: (done, total) => onPrepare?.("encode", done, total),
  });
  const { people } = photos;
  const emptyPromptIsZeros = model.emptyPromptIsZeros;
  const source: BatchSource = {
    config,
    people,
    latents,
    readers,
    text,
    emptyPromptIsZeros,
    image: start.vision.image,
    ...schedule,
  };
  const task = { ...adapterTask(model, start, source, photos.fingerprint), prepare: () => latents.encode(all) };
  const weights = await train(task, {
    folder: out,
    ...sessionsFor(model, options),
    signal,
    lean: true,
    onPhase,
    onBatch: options.onBatch,
    availableMemory,
    checkpointSeconds: config.checkpointSeconds,
    reportEvery: config.reportEvery,
    ...(options.onProgress && { onProgress: options.onProgress }),
    ...(config.sampleEvery > 0 && {
      sampleEvery: config.sampleEvery,
      onSample: async (learnt, step) => {
        const adapter = await writeAdapter(join(out, "samples"), start, learnt);
        const path = await drawSamples({ ...options, people, adapter, step });
        options.onNotice?.(`Samples after ${step} steps: ${path}`);
      },
    }),
  });
  return writeAdapter(out, start, weights);
}

/** UNet parameters above which a second worker's copies cost more than it saves. */
const LARGE = 3e8;

/** One session on all cores for a large model, one on each core for a small one. */
function sessionsFor(
  { components }: ModelFiles,
  { workers, threads }: Pick<TrainAdapterOptions, "workers" | "threads">,
): { readonly workers: number | undefined; readonly threads: number | undefined } {
  const size = [...components.unet.tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
  if (size < LARGE || (workers ?? 1) > 1) return { workers, threads };
  return { workers: 1, threads: threads ?? availableParallelism() };
}

function adapterTask(model: ModelFiles, start: StartWeights, source: BatchSource, fingerprint: string): TrainingTask {
  const { config, latents, prediction, readers } = source;
  const positions = readers[0].window.length;
  const { weights, loss, plain, kept } = adapterGraph(model, start, { config, prediction, latents, positions });
  return {
    name: "adapter",
    weights,
    loss,
    metrics: { plain },
    batch: (at) => adapterBatch(source, at),
    groups: [
      { match: (name) => name.startsWith("unet."), learningRate: config.loraLearningRate, weightDecay: config.weightDecay },
      { match: () => true, learningRate: config.learningRate, weightDecay: config.weightDecay },
    ],
    rate: { kind: config.schedule, warmUp: config.warmUp, flat: 0 },
    steps: config.steps,
    seed: config.seed,
    accumulate: config.accumulate,
    config: { ...comparable(config), data: fingerprint.slice(0, 16) },
    beta2: config.beta2,
    clip: config.clip,
    ...(config.emaDecay !== null && { emaDecay: config.emaDecay }),
    kept: config.gradientCheckpointing ? kept : undefined,
    from: start.trained,
  };
}

/** The model's noise schedule and prediction type. @throws UserError train/prediction */
function scheduleOf(model: ModelFiles): { readonly prediction: Prediction; readonly alphasCumprod: Float32Array } {
  if (model.prediction.name === "edm" || model.prediction.name === "edm-v")
    throw new UserError(
      "train/prediction",
      `The model predicts ${predictionInWords(model.prediction)}, which cannot be trained here.`,
      "Train on a model that predicts noise (epsilon) or velocity (v).",
    );
  const scheduler = schedulerConfig(model.scheduler ?? SDXL_SCHEDULER);
  const prediction = scheduler.prediction_type ?? "epsilon";
  if (prediction === "sample")
    throw new UserError(
      "train/prediction",
      "The model predicts clean images (prediction_type sample), which cannot be trained here.",
      "Use a model that predicts noise or velocity, as SDXL and its descendants do.",
    );
  const zeroSnr = scheduler.rescale_betas_zero_snr === true ? "exact" : "no";
  return { prediction, alphasCumprod: noiseSchedule(withDefaults(scheduler, BETA_DEFAULTS), zeroSnr).alphasCumprod };
}
