import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../core/errors.ts";
import { grad } from "../graph/grad.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { Feeds } from "../runtime/runtime.ts";
import { ParallelSteps, type Parameter, type TrainingState, trainingState } from "../runtime/training/parallel-steps.ts";
import type { Tensors } from "../weights/index.ts";
import { type RunConfig, readCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import { type RateShape, rateShare } from "./learning-rate.ts";
import { MetricsFile } from "./metrics-file.ts";
import type { TrainableWeights } from "./trainable-weights.ts";

export interface ParameterGroup {
  /** Whether it holds a parameter; the first group that does is taken. */
  readonly match: (name: string) => boolean;
  readonly learningRate: number;
  readonly weightDecay?: number;
}

/** Something to be trained. */
export interface TrainingTask {
  readonly name: string;
  readonly weights: TrainableWeights;
  /** A scalar, already averaged over the batch. */
  readonly loss: Tensor;
  /** Other values worth noting, scalars. */
  readonly metrics?: Readonly<Record<string, Tensor>>;
  /** A batch for one worker at one step: it must follow from its arguments alone, so that a resumed run sees the same. */
  readonly batch: (at: { readonly step: number; readonly worker: number; readonly micro: number }) => Feeds | Promise<Feeds>;
  readonly groups: readonly ParameterGroup[];
  readonly rate: RateShape;
  readonly steps: number;
  readonly seed: number;
  /** Settings of the task that a resumed run must share. */
  readonly config: RunConfig;
  readonly beta2?: number;
  readonly clip?: number;
  readonly emaDecay?: number;
  /** Batches of a worker whose gradients make one update. */
  readonly accumulate?: number;
  /** Values to start from, by name. */
  readonly from?: Tensors;
}

export interface TrainingProgress {
  readonly task: string;
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly norm: number;
  readonly secondsLeft: number;
  readonly stepsPerSecond: number;
}

export interface TrainingOptions {
  /** Where the checkpoint and the measurements go; made if it is not there. */
  readonly folder: string;
  readonly workers?: number | undefined;
  readonly threads?: number | undefined;
  readonly checkpointSeconds?: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: TrainingProgress) => void;
  /** Called now and then with the averaged weights, to draw samples. */
  readonly onSample?: (weights: TrainedWeights, step: number) => Promise<void>;
  readonly sampleEvery?: number;
}

/** Values of parameters by name. */
export type TrainedWeights = ReadonlyMap<string, { readonly shape: readonly number[]; readonly values: Float32Array }>;

const EMA_WARM_UP = 10;
/** Before the names of metrics among the graph's outputs, since inputs may have the same names. */
const METRIC = "metric:";
const REPORT_EVERY = 50;

/**
 * Trains until the task's last step, going on from the folder's checkpoint where there is one. Stopping it, by the signal or by
 * force, loses at most the work since the last checkpoint; what follows is the same as if it had not stopped.
 * @returns the averaged weights (EMA) where the task asks for them, else the weights
 * @throws UserError train/not-finite, train/other-config, train/checkpoint, disk/full
 */
export async function train(task: TrainingTask, options: TrainingOptions): Promise<TrainedWeights> {
  const { folder, signal } = options;
  await mkdir(folder, { recursive: true });
  const parameters = task.weights.layout((name) => groupIndex(task, name));
  const size = parameters.reduce((sum, { length }) => sum + length, 0);
  const state = trainingState(size, task.emaDecay !== undefined);
  const path = join(folder, "checkpoint.safetensors");
  const workers = await openSteps(task, parameters, state, options);
  try {
    const config = { ...task.config, task: task.name, seed: task.seed, steps: task.steps, workers: workers.workers };
    const metrics = new MetricsFile(join(folder, "metrics.jsonl"));
    const resumed = await readCheckpoint(path, state, parameters, config);
    if (resumed === undefined) await begin(task, parameters, state);
    await metrics.cutAfter(resumed ?? 0);
    const save = (step: number): Promise<void> => writeCheckpoint(path, state, parameters, { step, config });
    await loop({ task, options, workers, metrics, save, first: resumed ?? 0, current: () => trained(parameters, state) });
    signal?.throwIfAborted();
    return trained(parameters, state);
  } finally {
    await workers.close();
  }
}

function groupIndex({ groups, name: task }: TrainingTask, name: string): number {
  const index = groups.findIndex(({ match }) => match(name));
  if (index < 0) throw new TypeError(`no group of ${task} takes ${name}`);
  return index;
}

async function openSteps(
  task: TrainingTask,
  parameters: readonly Parameter[],
  state: TrainingState,
  { workers, threads }: TrainingOptions,
): Promise<ParallelSteps> {
  const tensors = [...task.weights.tensors()];
  const gradients = grad(
    task.loss,
    tensors.map(([, tensor]) => tensor),
  );
  const values = Object.entries({ loss: task.loss, ...task.metrics });
  const measured = Object.fromEntries(values.map(([name, value]) => [`${METRIC}${name}`, value]));
  const outputs: Record<string, Tensor> = {
    ...measured,
    ...Object.fromEntries(tensors.map(([name], i) => [`grad:${name}`, gradients[i]!])),
  };
  return ParallelSteps.open({ outputs, metrics: Object.keys(measured), parameters, state, workers, threads });
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
  readonly save: (step: number) => Promise<void>;
  readonly first: number;
  readonly current: () => TrainedWeights;
}

async function loop({ task, options, workers, metrics, save, first, current }: Loop): Promise<void> {
  const { steps, accumulate = 1 } = task;
  const batches = (step: number): Promise<Feeds[][]> =>
    Promise.all(
      Array.from({ length: workers.workers }, (_, worker) =>
        Promise.all(Array.from({ length: accumulate }, async (_, micro) => task.batch({ step, worker, micro }))),
      ),
    );
  const began = performance.now();
  let saved = performance.now();
  let next = first < steps ? await batches(first) : [];
  const recent = new Recent();
  for (let step = first; step < steps; step++) {
    if (options.signal?.aborted) {
      await save(step);
      return;
    }
    const running = workers.step(next, updateOf(task, step));
    const following = step + 1 < steps ? batches(step + 1) : Promise.resolve([]); // made while the workers compute
    const [result, coming] = await Promise.all([running, following]);
    next = coming;
    const means = meansOf(result.measured);
    if (!Number.isFinite(result.norm) || !Number.isFinite(means.loss!)) {
      await save(step); // nothing was changed by this step
      throw notFinite(task, step, result.measured);
    }
    recent.add(means, result.norm);
    const done = step + 1;
    if (done % REPORT_EVERY === 0 || done === steps) {
      const seconds = (performance.now() - began) / 1000;
      const stepsPerSecond = (done - first) / seconds;
      const { loss, ...rest } = recent.take();
      const { norm, ...others } = rest;
      await metrics.append({ step: done, loss: loss!, norm: norm!, ...others, lr: updateOf(task, step).groups[0]!.lr, seconds });
      const secondsLeft = (steps - done) / stepsPerSecond;
      options.onProgress?.({
        task: task.name,
        step: done,
        steps,
        loss: loss!,
        metrics: others,
        norm: norm!,
        secondsLeft,
        stepsPerSecond,
      });
    }
    if (done === steps || performance.now() - saved > (options.checkpointSeconds ?? 300) * 1000) {
      await save(done);
      saved = performance.now();
    }
    if (options.onSample && done % (options.sampleEvery ?? 1000) === 0) await options.onSample(current(), done);
  }
}

function updateOf({ groups, rate, steps, beta2 = 0.999, clip = 0, emaDecay = 0 }: TrainingTask, step: number) {
  const share = rateShare(rate, step, steps);
  return {
    groups: groups.map(({ learningRate, weightDecay = 0 }) => ({ lr: learningRate * share, weightDecay })),
    beta1: 0.9,
    beta2,
    eps: 1e-8,
    step: step + 1,
    clip,
    // young averages forget their random start sooner
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
    "The weights before that step are kept in the checkpoint. Take a lower learning rate or clip gradients, and look for broken pictures in that batch.",
  );
}

/** Means since they were last taken. */
class Recent {
  #sums: Record<string, number> = {};
  #count = 0;

  add(means: Readonly<Record<string, number>>, norm: number): void {
    for (const [name, value] of Object.entries({ ...means, norm })) this.#sums[name] = (this.#sums[name] ?? 0) + value;
    this.#count++;
  }

  take(): Record<string, number> {
    const means = Object.fromEntries(Object.entries(this.#sums).map(([name, sum]) => [name, sum / this.#count]));
    this.#sums = {};
    this.#count = 0;
    return means;
  }
}

function trained(parameters: readonly Parameter[], { params, ema }: TrainingState): TrainedWeights {
  const values = ema ?? params;
  return new Map(
    parameters.map(({ name, dims, offset, length }) => [name, { shape: dims, values: values.slice(offset, offset + length) }]),
  );
}
