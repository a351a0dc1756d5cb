import { availableParallelism } from "node:os";
import { join } from "node:path";
import { UserError } from "../core/errors.ts";
import { makeFolder } from "../core/make-folder.node.ts";
import { checkpointedGrad } from "../graph/checkpointing.ts";
import { grad } from "../graph/grad.ts";
import { rewriteNamed } from "../graph/rewrite.ts";
import { rewriteForTraining } from "../graph/rewrite-for-training.ts";
import type { Tensor } from "../graph/tensor.ts";
import {
  ParallelSteps,
  type ParallelStepsOptions,
  type TrainingState,
  trainingState,
} from "../runtime/node/training/parallel-steps.ts";
import type { Parameter } from "../runtime/node/training/parameter.ts";
import type { Feeds } from "../runtime/runtime.ts";
import { availableMemory } from "../sessions/runtimes.node.ts";
import type { Tensors } from "../weights/index.ts";
import { type RecentSums, type RunConfig, readCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import { joinVectors } from "./joined-vectors.ts";
import { type RateShape, rateShare } from "./learning-rate.ts";
import { requireMemory, type TrainingMemory, trainingMemory } from "./memory.ts";
import { MetricsFile } from "./metrics-file.ts";
import { checkStart, type TrainableWeights } from "./trainable-weights.ts";

export interface ParameterGroup {
  /** Whether a parameter belongs to the group; the first match counts. */
  readonly match: (name: string) => boolean;
  readonly learningRate: number;
  readonly weightDecay?: number;
  /**
   * The optimiser: AdamW, or Muon for matrices, which orthogonalises the update. Its steps are scaled to AdamW's usual length, so that a
   * learning rate means the same: Liu et al. 2025 (arXiv 2502.16982), section 2.2.
   */
  readonly optimiser?: "adamw" | "muon";
  /** Weight of earlier gradients in AdamW's mean; 0.9 when absent. */
  readonly beta1?: number;
}

/** Everything that defines a training run. */
export interface TrainingTask {
  readonly name: string;
  readonly weights: TrainableWeights;
  /** A scalar, already averaged over the batch. */
  readonly loss: Tensor;
  /** Other scalars to report. */
  readonly metrics?: Readonly<Record<string, Tensor>>;
  /** Makes a worker's batch at a step. It must depend on its arguments alone, so that a resumed run sees the same. */
  readonly batch: (at: { readonly step: number; readonly worker: number; readonly micro: number }) => Feeds | Promise<Feeds>;
  readonly groups: readonly ParameterGroup[];
  readonly rate: RateShape;
  readonly steps: number;
  readonly seed: number;
  /** Values of the task that a resumed run must share. */
  readonly config: RunConfig;
  readonly beta2?: number;
  readonly clip?: number;
  readonly emaDecay?: number;
  /** Batches of each worker per update. */
  readonly accumulate?: number;
  /** The only values kept from the forward pass, to save memory: see checkpointedGrad. */
  readonly kept?: ReadonlySet<Tensor> | undefined;
  /** Initial values, by name. */
  readonly from?: Tensors;
  /** Runs before the first batch, once memory is known to suffice. */
  readonly prepare?: () => Promise<void>;
}

/** What happens before the first step. */
export type TrainingPhase =
  | ({ readonly phase: "memory"; readonly weights: number; readonly available: number } & TrainingMemory)
  | { readonly phase: "load"; readonly seconds: number; readonly peakMemory: number };

export interface TrainingProgress {
  readonly task: string;
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly norm: number;
  readonly secondsLeft: number;
  readonly stepsPerSecond: number;
  /** Duration of this step alone. */
  readonly stepSeconds: number;
  /** Peak memory of the program so far, bytes. */
  readonly peakMemory: number;
}

/** Progress within a step. */
export interface BatchProgress extends Pick<TrainingProgress, "task" | "step" | "steps"> {
  /** Finished batches, all workers together. */
  readonly batch: number;
  readonly batches: number;
}

export interface TrainingOptions {
  /** Folder of checkpoint and metrics; created if missing. */
  readonly folder: string;
  readonly workers?: number | undefined;
  readonly threads?: number | undefined;
  /** See ModelOptions. */
  readonly lean?: boolean | undefined;
  readonly checkpointSeconds?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: TrainingProgress) => void;
  readonly onPhase?: ((phase: TrainingPhase) => void) | undefined;
  /** Called after each batch of a step that has several. */
  readonly onBatch?: ((progress: BatchProgress) => void) | undefined;
  /** Free memory in bytes; when absent, what {@link availableMemory} finds. */
  readonly availableMemory?: number | undefined;
  /** Called every `sampleEvery` updates with the averaged weights, to draw samples. */
  readonly onSample?: (weights: TrainedWeights, step: number) => Promise<void>;
  readonly sampleEvery?: number | undefined;
  /** Updates per line of metrics.jsonl; must be the same in a resumed run. */
  readonly reportEvery?: number | undefined;
}

/** Values of parameters by name. */
export type TrainedWeights = ReadonlyMap<string, { readonly shape: readonly number[]; readonly values: Float32Array }>;

/** Path of an unfinished run's state in its folder. */
export const checkpointPath = (folder: string): string => join(folder, "checkpoint.safetensors");

const EMA_WARM_UP = 10;
/** Prefix of metrics among the graph's outputs, since inputs may have the same names. */
const METRIC = "metric:";
const REPORT_EVERY = 50;
const PROGRESS_MS = 2000;

/**
 * Trains until the task's last step, resuming from the folder's checkpoint if there is one. A signal or a crash loses at most the
 * work since the last checkpoint; the result is the same as without it.
 * @returns the averaged weights (EMA) where the task asks for them, else the weights
 * @throws UserError train/start-shape, train/memory, train/not-finite, train/other-config, train/checkpoint, disk/full
 */
export async function train(task: TrainingTask, options: TrainingOptions): Promise<TrainedWeights> {
  const { folder, signal } = options;
  await makeFolder(folder);
  const parameters = task.weights
    .layout((name) => groupIndex(task, name))
    .map((parameter) => ({ ...parameter, orthogonal: task.groups[parameter.group]!.optimiser === "muon" }));
  if (task.from !== undefined) checkStart(parameters, task.from);
  const size = parameters.reduce((sum, { length }) => sum + length, 0);
  const count = options.workers ?? availableParallelism();
  const { accumulate = 1, emaDecay } = task;
  const graph = trainingOutputs(task, parameters);
  const memory = trainingMemory(Object.values(graph.outputs), { size, ema: emaDecay !== undefined, workers: count, accumulate });
  const { availableMemory: available = availableMemory() } = options;
  options.onPhase?.({ phase: "memory", weights: size, ...memory, available });
  requireMemory(memory, available);
  await task.prepare?.();
  signal?.throwIfAborted();
  const state = trainingState(size, { ema: task.emaDecay !== undefined, workers: count });
  const path = checkpointPath(folder);
  const config = {
    ...task.config,
    ...(task.accumulate !== undefined && { accumulate: task.accumulate }),
    ...(parameters.some(({ orthogonal }) => orthogonal) && { optimiser: "muon" }), // whose state differs
    task: task.name,
    seed: task.seed,
    steps: task.steps,
    workers: count,
  };
  const resumed = await readCheckpoint(path, state, parameters, config);
  if (resumed === undefined) await begin(task, parameters, state);
  const metrics = new MetricsFile(join(folder, "metrics.jsonl"));
  await metrics.cutAfter(resumed?.step ?? 0);
  const recent = new Recent(resumed?.recent);
  const opened = performance.now();
  const { threads, lean } = options;
  const workers = await ParallelSteps.open({ ...graph, parameters, state, threads, lean });
  const stop = (): void => workers.stop();
  options.onPhase?.({ phase: "load", seconds: (performance.now() - opened) / 1000, peakMemory: peakMemory() });
  try {
    const save = (step: number, seconds: number): Promise<void> =>
      writeCheckpoint(path, state, parameters, { step, config, recent: recent.state(), seconds });
    const first = { step: resumed?.step ?? 0, seconds: resumed?.seconds ?? 0 };
    signal?.addEventListener("abort", stop);
    await loop({ task, options, workers, metrics, recent, save, first, current: () => trained(parameters, state) });
    signal?.throwIfAborted();
    return trained(parameters, state);
  } finally {
    signal?.removeEventListener("abort", stop);
    await workers.close();
  }
}

function groupIndex({ groups, name: task }: TrainingTask, name: string): number {
  const index = groups.findIndex(({ match }) => match(name));
  if (index < 0) throw new TypeError(`no group of ${task} takes ${name}`);
  return index;
}

/** The loss, other metrics and the gradients. */
export function trainingOutputs(
  task: Pick<TrainingTask, "weights" | "loss" | "metrics" | "kept">,
  parameters: readonly Parameter[],
): Pick<ParallelStepsOptions, "outputs" | "fed" | "metrics" | "loss"> {
  const { fed, values, gradients } = differentiated(task, parameters);
  const measured = Object.fromEntries(Object.entries(values).map(([name, value]) => [`${METRIC}${name}`, value]));
  const named = Object.fromEntries(fed.map(({ name }, i) => [`grad:${name}`, gradients[i]!]));
  const metrics = Object.keys(measured);
  return { outputs: { ...measured, ...named }, fed, metrics, loss: `${METRIC}loss` };
}

function differentiated({ weights, kept, ...task }: Parameters<typeof trainingOutputs>[0], parameters: readonly Parameter[]) {
  const tensors = weights.tensors();
  const values = { ...task.metrics, loss: task.loss };
  if (kept !== undefined) {
    // `kept` names tensors of the graph before vectors are joined
    const inputs = parameters.map(({ name }) => tensors.get(name)!);
    return { fed: parameters, values, gradients: checkpointedGrad(values.loss, inputs, kept) };
  }
  const { fed, inputs, parts } = joinVectors(parameters, tensors);
  const changed = rewriteNamed(values, (t) => parts.get(t) ?? rewriteForTraining(t));
  return { fed, values: changed, gradients: grad(changed.loss, inputs) };
}

async function begin(task: TrainingTask, parameters: readonly Parameter[], state: TrainingState): Promise<void> {
  await task.weights.initialise(state.params, parameters, task.seed, task.from);
  state.ema?.set(state.params);
}

interface Loop {
  readonly task: TrainingTask;
  readonly options: TrainingOptions;
  readonly workers: ParallelSteps;
  readonly metrics: MetricsFile;
  readonly recent: Recent;
  readonly save: (step: number, seconds: number) => Promise<void>;
  /** Finished updates and their duration. */
  readonly first: { readonly step: number; readonly seconds: number };
  readonly current: () => TrainedWeights;
}

async function loop({ task, options, workers, metrics, recent, save, first, current }: Loop): Promise<void> {
  const { steps, accumulate = 1 } = task;
  const { signal, reportEvery = REPORT_EVERY, checkpointSeconds = 300, sampleEvery = 1000 } = options;
  const batches = (step: number): Promise<Feeds[][]> =>
    Promise.all(
      Array.from({ length: workers.workers }, (_, worker) =>
        Promise.all(Array.from({ length: accumulate }, async (_, micro) => task.batch({ step, worker, micro }))),
      ),
    );
  const began = performance.now();
  const elapsed = (): number => (performance.now() - began) / 1000;
  let [saved, shown] = [began, began];
  let next = first.step < steps ? await batches(first.step) : [];
  for (let step = first.step; step < steps; step++) {
    if (signal?.aborted) return save(step, first.seconds + elapsed());
    const started = performance.now();
    let count = 0;
    const total = workers.workers * accumulate;
    const onBatch = (): void => options.onBatch?.({ task: task.name, step, steps, batch: ++count, batches: total });
    const running = workers.step(next, updateOf(task, step), onBatch);
    const following = step + 1 < steps ? batches(step + 1) : Promise.resolve([]); // prepared while the workers compute
    const both = await Promise.all([running, following]).catch((error: unknown) => {
      if (!signal?.aborted) throw error;
    });
    if (both === undefined) return save(step, first.seconds + elapsed()); // stopped between its batches
    const [result, coming] = both;
    next = coming;
    const means = meansOf(result.measured);
    const stepSeconds = (performance.now() - started) / 1000;
    if (!result.updated) {
      await save(step, first.seconds + elapsed()); // nothing was changed by this step
      throw notFinite(task, step, result.measured);
    }
    recent.add(means, result.norm);
    const done = step + 1;
    const due = done % reportEvery === 0 || done === steps;
    if (due || performance.now() - shown > PROGRESS_MS) {
      shown = performance.now();
      const { loss, norm, ...others } = recent.means() as { loss: number; norm: number };
      const took = { stepSeconds, peakMemory: peakMemory() };
      if (due) {
        const seconds = first.seconds + elapsed();
        await metrics.append({ step: done, loss, norm, ...others, lr: updateOf(task, step).groups[0]!.lr, seconds, ...took });
        recent.clear();
      }
      const stepsPerSecond = (done - first.step) / elapsed();
      const secondsLeft = (steps - done) / stepsPerSecond;
      const speed = { secondsLeft, stepsPerSecond, ...took };
      options.onProgress?.({ task: task.name, step: done, steps, loss, metrics: others, norm, ...speed });
    }
    if (done === steps || performance.now() - saved > checkpointSeconds * 1000) {
      await save(done, first.seconds + elapsed());
      saved = performance.now();
    }
    if (options.onSample && done % sampleEvery === 0) await options.onSample(current(), done);
  }
}

/** Peak memory of the whole program, bytes. */
const peakMemory = (): number => process.resourceUsage().maxRSS * 1024;

function updateOf({ groups, rate, steps, beta2 = 0.999, clip = 0, emaDecay = 0 }: TrainingTask, step: number) {
  const share = rateShare(rate, step, steps);
  return {
    groups: groups.map(({ learningRate, weightDecay = 0, beta1 }) => ({ lr: learningRate * share, weightDecay, beta1 })),
    beta1: 0.9,
    beta2,
    eps: 1e-8,
    momentum: 0.95,
    step: step + 1,
    clip,
    // a young average forgets its random start sooner
    emaDecay: Math.min(emaDecay, (step + 1) / (step + EMA_WARM_UP)),
  };
}

type Measured = readonly (readonly Readonly<Record<string, Float32Array>>[])[];

function meansOf(measured: Measured): Record<string, number> {
  const all = measured.flat();
  const names = Object.keys(all[0]!);
  return Object.fromEntries(
    names.map((name) => [name.slice(METRIC.length), all.reduce((sum, m) => sum + m[name]![0]!, 0) / all.length]),
  );
}

function notFinite({ name }: TrainingTask, step: number, measured: Measured): UserError {
  const at = measured.flatMap((batches, worker) =>
    batches.flatMap((m, micro) => (Number.isFinite(m[`${METRIC}loss`]![0]) ? [] : [`batch ${micro} of worker ${worker}`])),
  );
  return new UserError(
    "train/not-finite",
    `The ${at.length > 0 ? `loss of ${at.join(", ")}` : "gradient"} is not a number at step ${step + 1} of ${name}.`,
    "The checkpoint has the weights from before that step. Start anew with a lower learning rate or with gradient clipping, and look for broken pictures in that batch.",
  );
}

/** Means over the steps since they were last cleared. */
class Recent {
  #state: RecentSums;

  constructor(state: RecentSums = { sums: {}, count: 0 }) {
    this.#state = state;
  }

  state(): RecentSums {
    return this.#state;
  }

  add(means: Readonly<Record<string, number>>, norm: number): void {
    const { sums, count } = this.#state;
    const added = Object.entries({ ...means, norm }).map(([name, value]) => [name, (sums[name] ?? 0) + value] as const);
    this.#state = { sums: Object.fromEntries(added), count: count + 1 };
  }

  means(): Record<string, number> {
    const { sums, count } = this.#state;
    return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / count]));
  }

  clear(): void {
    this.#state = { sums: {}, count: 0 };
  }
}

function trained(parameters: readonly Parameter[], { params, ema }: TrainingState): TrainedWeights {
  const values = ema ?? params;
  return new Map(
    parameters.map(({ name, dims, offset, length }) => [name, { shape: dims, values: values.slice(offset, offset + length) }]),
  );
}
