import { Worker } from "node:worker_threads";
import type { NdArray } from "../../../core/array.ts";
import { ownFile } from "../../../core/own-file.node.ts";
import { inTurns } from "../../../core/steps.ts";
import { isTrainedConvolution } from "../../../graph/onnx/blocked-convolution.ts";
import { input } from "../../../graph/ops/source.ts";
import { inOrder } from "../../../graph/rewrite.ts";
import type { Tensor } from "../../../graph/tensor.ts";
import type { Feeds } from "../../runtime.ts";
import { channelBlock } from "../channel-block.ts";
import { encodeModel } from "../encode-model.ts";
import { type Memory, MOST_BYTES, sharedMemory } from "./kernels.js";
import { orthogonalise } from "./orthogonal.ts";
import type { Fed, Parameter } from "./parameter.ts";
import { rangesOf, type Share, shares } from "./shares.ts";

/** State that training changes, in shared memory: each array holds the numbers of all parameters, one after the other. */
export interface TrainingState {
  /** Memory that holds all arrays, if one memory is large enough: updates then compute in place. */
  readonly memory: Memory | undefined;
  readonly params: Float32Array;
  /** Means of the gradients and of their squares; Muon does not need the latter. */
  readonly m: Float32Array;
  readonly v: Float32Array;
  /** Exponential moving average of the parameters, if one is kept. */
  readonly ema: Float32Array | undefined;
  /** Gradients of each worker in the last step. */
  readonly gradients: readonly Float32Array[];
}

/** Allocates a training state. @param workers number of workers, each with gradients of its own */
export function trainingState(
  size: number,
  { ema, workers }: { readonly ema: boolean; readonly workers: number },
): TrainingState {
  const { memory, arrays } = sharedArrays(size, 3 + (ema ? 1 : 0) + workers);
  const [params, m, v, ...others] = arrays as [Float32Array, Float32Array, Float32Array, ...Float32Array[]];
  return { memory, params, m, v, ema: ema ? others[0] : undefined, gradients: others.slice(ema ? 1 : 0) };
}

const LINE = 64; // bytes of a cache line

function sharedArrays(size: number, count: number): { memory: Memory | undefined; arrays: Float32Array[] } {
  const bytes = Math.ceil((size * 4) / LINE) * LINE;
  const memory = bytes * count <= MOST_BYTES ? sharedMemory(bytes * count) : undefined;
  const arrays = Array.from({ length: count }, (_, i) =>
    memory === undefined
      ? new Float32Array(new SharedArrayBuffer(size * 4))
      : new Float32Array(memory.buffer as unknown as ArrayBuffer, i * bytes, size),
  );
  return { memory, arrays };
}

export interface Update {
  /** Learning rate and weight decay of each group; its own `beta1`, if it has one. */
  readonly groups: readonly { readonly lr: number; readonly weightDecay: number; readonly beta1?: number | undefined }[];
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** Weight of earlier gradients in Muon's mean. */
  readonly momentum: number;
  /** 1 for the first update. */
  readonly step: number;
  /** Largest norm of all gradients together; 0 for no limit. */
  readonly clip: number;
  readonly emaDecay: number;
}

export interface StepResult {
  /** Metrics of each batch of each worker. */
  readonly measured: readonly (readonly Readonly<Record<string, Float32Array>>[])[];
  /** Norm of the averaged gradients, before clipping. */
  readonly norm: number;
  /** False if a loss or a gradient was not finite: then nothing was changed. */
  readonly updated: boolean;
  readonly seconds: { readonly compute: number; readonly update: number };
}

export interface ParallelStepsOptions {
  /** Gradients of all fed inputs, and metrics. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** Inputs that hold parameters: one each, or several that lie side by side. */
  readonly fed: readonly Fed[];
  readonly metrics: readonly string[];
  /** Name of the metric that is the loss. */
  readonly loss: string;
  readonly parameters: readonly Parameter[];
  /** State with gradients for each worker. One worker with one thread for each core is faster than one worker with several threads. */
  readonly state: TrainingState;
  /** Threads of each worker's session. */
  readonly threads?: number | undefined;
  /** Whether to free memory as soon as a value is no longer needed: see ModelOptions. */
  readonly lean?: boolean | undefined;
}

interface Reply {
  readonly ready?: true;
  /** Number of batches done so far, in a step of several; the reply to the step follows. */
  readonly batch?: number;
  readonly error?: string;
  readonly measured: StepResult["measured"][number];
  readonly norm: number;
  readonly updated: boolean;
  readonly seconds: StepResult["seconds"];
}

/**
 * Runs training steps on several workers. Each computes the gradients of its own batches with one ONNX graph whose weights and gradients are in
 * buffers that are allocated once. Gradients are then averaged over the workers, and each worker updates its share of the parameters. The result
 * does not depend on timing.
 */
export class ParallelSteps {
  readonly #workers: readonly Worker[];
  readonly #sync: Int32Array;
  readonly #ended: Promise<unknown>;
  readonly #waiting: ((reply: Reply | Error) => void)[] = [];
  #onBatch: (() => void) | undefined;
  #failure: Error | undefined;

  private constructor(workers: readonly Worker[], sync: Int32Array) {
    this.#workers = workers;
    this.#sync = sync;
    this.#ended = Promise.all(workers.map((worker) => new Promise<void>((resolve) => worker.once("exit", () => resolve()))));
    for (const [i, worker] of workers.entries()) {
      worker.on("message", (reply: Reply) => (reply.batch === undefined ? this.#waiting[i]?.(reply) : this.#onBatch?.()));
      worker.on("error", (error) => this.#fail(error));
      worker.on("exit", () => this.#fail(new Error("a training worker has ended")));
    }
  }

  get workers(): number {
    return this.#workers.length;
  }

  static async open(options: ParallelStepsOptions): Promise<ParallelSteps> {
    const { outputs, fed, metrics, loss, parameters, state, threads = 1, lean } = options;
    const count = state.gradients.length;
    const block = inOrder(Object.values(outputs)).some(isTrainedConvolution) ? await channelBlock() : undefined;
    const { model, options: session } = await inTurns(encodeModel(outputs, { threads, lean, block }));
    const sync = new SharedArrayBuffer(16);
    const shared = {
      model,
      options: session,
      fed,
      metrics,
      loss,
      state,
      sync, // workers at the barrier, its round, whether workers must end, whether no further batch may begin
      sums: new SharedArrayBuffer(8 * count),
    };
    const url = ownFile("./training-worker.js", import.meta.url);
    const own = await Promise.all(
      shares(parameters, count).map(async (share) => ({
        share,
        own: rangesOf(share),
        orthogonal: await orthogonaliser(share),
      })),
    );
    const steps = new ParallelSteps(
      own.map((mine, index) => new Worker(url, { workerData: { ...shared, ...mine, index } })),
      new Int32Array(sync),
    );
    await steps.#all(() => {});
    return steps;
  }

  /**
   * Makes one update from the batches of every worker.
   * @param batches the same number for each worker; their gradients are averaged
   * @param onBatch called after each batch of any worker, if there are several
   */
  async step(batches: readonly (readonly Feeds[])[], update: Update, onBatch?: () => void): Promise<StepResult> {
    this.#onBatch = onBatch;
    if (batches.length !== this.#workers.length || batches.some((b) => b.length !== batches[0]!.length))
      throw new TypeError(`${this.#workers.length} workers need as many lists of batches, all of one length`);
    const replies = await this.#all((i) => this.#workers[i]!.postMessage({ batches: batches[i]!.map(plain), update }));
    return {
      measured: replies.map((r) => r.measured),
      norm: replies[0]!.norm,
      updated: replies[0]!.updated,
      seconds: {
        compute: Math.max(...replies.map((r) => r.seconds.compute)),
        update: Math.max(...replies.map((r) => r.seconds.update)),
      },
    };
  }

  /** Stops before the next batch. A step with batches left fails and changes nothing, and no step can follow it. */
  stop(): void {
    Atomics.store(this.#sync, 3, 1);
  }

  /** Ends the workers, each as soon as it has finished its current computation. */
  async close(): Promise<void> {
    Atomics.store(this.#sync, 2, 1);
    for (const worker of this.#workers) worker.postMessage("end");
    await this.#ended;
  }

  /** Sends a message to every worker and awaits the replies. If one worker fails, all are ended, since the others would wait for it for ever. */
  async #all(ask: (index: number) => void): Promise<Reply[]> {
    if (this.#failure !== undefined) throw this.#failure;
    const replies = this.#workers.map(
      (_, i) =>
        new Promise<Reply>((resolve, reject) => {
          this.#waiting[i] = (reply) => {
            if (reply instanceof Error) reject(reply);
            else if (reply.error !== undefined) reject(new Error(reply.error));
            else resolve(reply);
          };
          ask(i);
        }),
    );
    try {
      return await Promise.all(replies);
    } catch (error) {
      await Promise.allSettled([this.close(), ...replies]);
      throw error;
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const settle of this.#waiting) settle(error);
  }
}

/** Encodes the graph that orthogonalises a worker's matrices: y0 from x0, and so on. */
async function orthogonaliser({ matrices }: Share): Promise<Uint8Array | undefined> {
  if (matrices.length === 0) return undefined;
  const outputs = matrices.map(({ rows, columns }, i) => [`y${i}`, orthogonalise(input(`x${i}`, [rows, columns]))] as const);
  return (await inTurns(encodeModel(Object.fromEntries(outputs), {}))).model;
}

const plain = (feeds: Feeds): Record<string, NdArray> => ({ ...feeds });
