import type { GenerateEvent } from "../contract/events.ts";
import type { GenerateInput, LoadInput } from "../contract/request.ts";
import { UserError } from "../core/errors.ts";
import type { Work } from "../graph/work.ts";
import type { PhotoMaker } from "../pipeline/photomaker.ts";
import { type PictureTimes, pictureTimes, preparations, type TimedEvent } from "./picture-times.ts";

/** What to measure: every size with every batch, in every precision. */
export interface MeasurePlan {
  readonly load: LoadInput;
  readonly precisions: readonly NonNullable<LoadInput["precision"]>[];
  readonly request: GenerateInput & { readonly guidanceScale: number };
  /** The model's own where width and height are absent. */
  readonly sizes: readonly { readonly width?: number; readonly height?: number }[];
  /** Pictures at once. */
  readonly batches: readonly number[];
  /** Requests for each size and batch. */
  readonly repeats: number;
}

/** One size and batch. */
export interface MeasuredSize {
  readonly width: number;
  readonly height: number;
  readonly batch: number;
  /** Latents that the denoiser evaluates at once: twice the batch with guidance. */
  readonly rows: number;
  /** Of one evaluation. */
  readonly work: Work;
  readonly pictures: PictureTimes[];
  /** The most memory so far of this process and the models' together, in bytes. */
  memory: number;
}

/** One precision. */
export interface MeasuredPrecision {
  readonly device: string;
  readonly precision: string;
  /** Seconds of preparing and loading the models that were not prepared yet. */
  readonly prepare: Readonly<Record<string, number>>;
  /** Seconds of loading each model. */
  readonly load: Record<string, number>;
  readonly measured: MeasuredSize[];
}

export type BenchModel = Pick<PhotoMaker, "notices" | "runsOn" | "generate" | "evaluationWork" | "close">;

export interface MeasureTools {
  readonly open: (options: LoadInput) => Promise<BenchModel>;
  /** Milliseconds. */
  readonly now: () => number;
  /** Of this process, in bytes. */
  readonly peakMemory: () => number;
  readonly signal: AbortSignal;
  readonly onOpen: (model: BenchModel) => void;
  /** @param what is being measured, such as "f32 512x512 batch 1" */
  readonly onEvent: (what: string, event: GenerateEvent) => void;
  /** After each picture. */
  readonly onMeasured: (runs: readonly MeasuredPrecision[]) => Promise<void>;
}

/**
 * Measures as planned. When cancelled, what was measured until then is the result: only finished pictures count.
 * @throws UserError those of PhotoMaker.load and generate, download/interrupted too
 */
export async function measure(plan: MeasurePlan, tools: MeasureTools): Promise<MeasuredPrecision[]> {
  const runs: MeasuredPrecision[] = [];
  try {
    for (const precision of plan.precisions) await measurePrecision(plan, precision, runs, tools);
  } catch (error) {
    if (!tools.signal.aborted || (error instanceof UserError && error.code === "download/interrupted")) throw error;
  }
  return runs;
}

/**
 * Models in 8 bits are prepared when they are first used. If that is seen to happen, the measuring begins anew at the first evaluation,
 * so that what is measured is loading.
 * @param prepare seconds that preparing took, once it was seen
 */
async function measurePrecision(
  plan: MeasurePlan,
  precision: MeasurePlan["precisions"][number],
  runs: MeasuredPrecision[],
  tools: MeasureTools,
  prepare?: MeasuredPrecision["prepare"],
): Promise<void> {
  const prepared = await withModel(plan, precision, tools, async (model) => {
    const run: MeasuredPrecision = { ...model.runsOn, prepare: prepare ?? {}, load: {}, measured: [] };
    for (const size of plan.sizes)
      for (const batch of plan.batches) {
        let measured: MeasuredSize | undefined;
        for (let repeat = 0; repeat < plan.repeats; repeat++) {
          const request = { ...plan.request, ...size, numImagesPerPrompt: batch };
          const events = await watch(model, request, tools, prepare === undefined);
          const times = pictureTimes(events);
          if (times === undefined) return preparations(events);
          if (measured === undefined) {
            measured = begin(model, times, batch, plan.request.guidanceScale);
            if (run.measured.length === 0) runs.push(run);
            run.measured.push(measured);
          }
          measured.pictures.push(times);
          measured.memory = times.modelMemory + tools.peakMemory();
          Object.assign(run.load, times.load);
          await tools.onMeasured(runs);
        }
      }
    return undefined;
  });
  if (prepared !== undefined) await measurePrecision(plan, precision, runs, tools, prepared);
}

function begin(model: BenchModel, { width, height }: PictureTimes, batch: number, guidanceScale: number): MeasuredSize {
  const rows = guidanceScale > 1 ? 2 * batch : batch;
  return { width, height, batch, rows, work: model.evaluationWork({ width, height, rows }), pictures: [], memory: 0 };
}

/** A fresh process of models. It is ended at once when the measuring is cancelled, whatever it is at. */
async function withModel<T>(
  { load }: MeasurePlan,
  precision: MeasurePlan["precisions"][number],
  { open, signal, onOpen }: MeasureTools,
  work: (model: BenchModel) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  // nothing is kept of texts and photos, so that each request encodes them
  const model = await open({ ...load, precision, encodingCacheBytes: 0 });
  const end = () => void model.close();
  signal.addEventListener("abort", end);
  try {
    onOpen(model);
    return await work(model);
  } finally {
    signal.removeEventListener("abort", end);
    await model.close();
  }
}

/** All events of a request; only those up to the first evaluation, if models were prepared and that ends it. */
async function watch(
  model: BenchModel,
  request: GenerateInput,
  { now, signal, onEvent }: MeasureTools,
  preparingEnds: boolean,
): Promise<TimedEvent[]> {
  const start = now();
  const events: TimedEvent[] = [];
  const { width, height, numImagesPerPrompt: batch = 1 } = request;
  const what = [model.runsOn.precision, ...(width === undefined ? [] : [`${width}x${height}`]), `batch ${batch}`].join(" ");
  let prepared = false;
  for await (const event of model.generate(request, { signal })) {
    events.push({ at: (now() - start) / 1000, event });
    onEvent(what, event);
    if (event.type !== "progress") continue;
    prepared ||= event.phase === "prepare";
    if (event.phase === "denoise" && prepared && preparingEnds) break;
  }
  signal.throwIfAborted();
  return events;
}
