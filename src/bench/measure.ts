import type { GenerateEvent } from "../contract/events.ts";
import type { GenerateInput, LoadInput } from "../contract/request.ts";
import { UserError } from "../core/errors.ts";
import type { Work } from "../graph/work.ts";
import type { PhotoMaker } from "../pipeline/photomaker.ts";
import { type PictureTimes, pictureTimes, preparations, type TimedEvent } from "./picture-times.ts";

/** A plan of measurements: every size with every batch, in every precision. */
export interface MeasurePlan {
  readonly load: LoadInput;
  readonly precisions: readonly NonNullable<LoadInput["precision"]>[];
  readonly request: GenerateInput & { readonly guidanceScale: number };
  /** Sizes in pixels; the model's own if absent. */
  readonly sizes: readonly { readonly width?: number; readonly height?: number }[];
  /** Batch sizes: pictures at once. */
  readonly batches: readonly number[];
  /** Requests per size and batch. */
  readonly repeats: number;
}

/** Measurements of one size and batch. */
export interface MeasuredSize {
  readonly width: number;
  readonly height: number;
  readonly batch: number;
  /** Latents that the denoiser evaluates at once: twice the batch with guidance. */
  readonly rows: number;
  /** Work of one evaluation. */
  readonly work: Work;
  readonly pictures: PictureTimes[];
  /** Peak memory so far of this process and the models' together, in bytes. */
  memory: number;
}

/** Measurements of one precision. */
export interface MeasuredPrecision {
  readonly device: string;
  readonly precision: string;
  /** Seconds spent preparing and loading each model that was not prepared yet. */
  readonly prepare: Readonly<Record<string, number>>;
  /** Seconds spent loading each model. */
  readonly load: Record<string, number>;
  readonly measured: MeasuredSize[];
}

export type BenchModel = Pick<PhotoMaker, "notices" | "runsOn" | "generate" | "evaluationWork" | "close">;

export interface MeasureTools {
  readonly open: (options: LoadInput) => Promise<BenchModel>;
  /** Clock, milliseconds. */
  readonly now: () => number;
  /** Peak memory of this process, in bytes. */
  readonly peakMemory: () => number;
  readonly signal: AbortSignal;
  readonly onOpen: (model: BenchModel) => void;
  /** @param what is being measured, such as "f32 512x512 batch 1" */
  readonly onEvent: (what: string, event: GenerateEvent) => void;
  /** Called after each picture. */
  readonly onMeasured: (runs: readonly MeasuredPrecision[]) => Promise<void>;
}

/**
 * Carries out a plan. When cancelled, it returns what was measured so far; only finished pictures count.
 * @throws UserError those of PhotoMaker.load and generate, download/interrupted included
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
 * Measures one precision. Models in 8 bits are prepared on first use; if that happens, measuring restarts at the first evaluation,
 * so that loading is measured rather than preparing.
 * @param prepare seconds that preparing took, if it happened
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

/** Loads the models in a fresh process, which ends at once when measuring is cancelled. */
async function withModel<T>(
  { load }: MeasurePlan,
  precision: MeasurePlan["precisions"][number],
  { open, signal, onOpen }: MeasureTools,
  work: (model: BenchModel) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  // no encodings are cached, so that each request computes them
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

/** Events of a request; only those up to the first evaluation if models were prepared and that ends it. */
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
