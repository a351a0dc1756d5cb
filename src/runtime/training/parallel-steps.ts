import { Worker } from "node:worker_threads";
import type { NdArray } from "../../core/array.ts";
import { ownFile } from "../../core/own-file.node.ts";
import { inTurns } from "../../core/steps.ts";
import { isTrainedConvolution } from "../../graph/onnx/blocked-convolution.ts";
import { input } from "../../graph/ops/source.ts";
import { inOrder } from "../../graph/rewrite.ts";
import type { Tensor } from "../../graph/tensor.ts";
import { channelBlock } from "../channel-block.ts";
import { encodeModel } from "../encode-model.ts";
import type { Feeds } from "../runtime.ts";
import { type Memory, MOST_BYTES, sharedMemory } from "./kernels.js";
import { orthogonalised } from "./orthogonal.ts";
import type { Fed, Parameter } from "./parameter.ts";
import { rangesOf, type Share, shares } from "./shares.ts";

/** All that training changes, in shared memory: each array has the parameters one after the other. */
export interface TrainingState {
  /** The one memory that all arrays lie in, where they fit: then updates compute with them where they are. */
  readonly memory: Memory | undefined;
  readonly params: Float32Array;
  /** Means of the gradients, and of their squares, which Muon does without. */
  readonly m: Float32Array;
  readonly v: Float32Array;
  /** Exponential moving average of the parameters, where one is kept. */
  readonly ema: Float32Array | undefined;
  /** What each worker found in the last step. */
  readonly gradients: readonly Float32Array[];
}

/** @param workers how many there are, each with gradients of its own */
export function trainingState(
  size: number,
  { ema, workers }: { readonly ema: boolean; readonly workers: number },
): TrainingState {
  const { memory, arrays } = sharedArrays(size, 3 + (ema ? 1 : 0) + workers);
  const [params, m, v, ...others] = arrays as [Float32Array, Float32Array, Float32Array, ...Float32Array[]];
  return { memory, params, m, v, ema: ema ? others[0] : undefined, gradients: others.slice(ema ? 1 : 0) };
}

const LINE = 64; // bytes of a line of the processor's cache

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
  /** Learning rate and weight decay of each group. */
  readonly groups: readonly { readonly lr: number; readonly weightDecay: number }[];
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** Muon's share of the earlier gradients. */
  readonly momentum: number;
  /** 1 for the first update. */
  readonly step: number;
  /** Largest norm of all gradients together; 0: any. */
  readonly clip: number;
  readonly emaDecay: number;
}

export interface StepResult {
  /** The metrics of each batch of each worker. */
  readonly measured: readonly (readonly Readonly<Record<string, Float32Array>>[])[];
  /** Of the averaged gradients, before clipping. */
  readonly norm: number;
  /** False when a loss or a gradient is not finite: then nothing was changed. */
  readonly updated: boolean;
  readonly seconds: { readonly compute: number; readonly update: number };
}

export interface ParallelStepsOptions {
  /** Gradients of all that is fed, and metrics. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** The inputs that hold the parameters: a parameter each, or several that lie side by side. */
  readonly fed: readonly Fed[];
  readonly metrics: readonly string[];
  /** Which of the metrics is the loss. */
  readonly loss: string;
  readonly parameters: readonly Parameter[];
  /** With gradients for each worker: one for each core computes with one thread, which is faster than one worker with several. */
  readonly state: TrainingState;
  /** Threads of each worker's session. */
  readonly threads?: number | undefined;
  /** See ModelOptions. */
  readonly lean?: boolean | undefined;
}

interface Reply {
  readonly ready?: true;
  /** Of a step of several batches, how many are done: the step's own reply is still to come. */
  readonly batch?: number;
  readonly error?: string;
  readonly measured: StepResult["measured"][number];
  readonly norm: number;
  readonly updated: boolean;
  readonly seconds: StepResult["seconds"];
}

/**
 * Runs training steps on several workers. Each computes the gradients of its own batches by one ONNX graph whose weights and gradients
 * lie in buffers that are allocated once; gradients are then averaged over the workers, and each updates its share of the
 * parameters. The result does not depend on timing.
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
      ...{ fed, metrics, loss, state },
      sync, // how many have come to the barrier, its round, whether all shall end, and whether no batch shall be begun
      sums: new SharedArrayBuffer(8 * count),
    };
    const url = ownFile("./training-worker.js", import.meta.url);
    const own = await Promise.all(
      shares(parameters, count).map(async (share) => ({
        ...{ share, own: rangesOf(share) },
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
   * One update from the batches of every worker.
   * @param batches for each worker as many as the others have: their gradients are averaged
   * @param onBatch called after each batch of any worker where there are several
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

  /** No further batch is begun. A step that has some to go fails and changes nothing, and nothing can follow it. */
  stop(): void {
    Atomics.store(this.#sync, 3, 1);
  }

  /** Ends the workers, each as soon as it has computed what it is at. */
  async close(): Promise<void> {
    Atomics.store(this.#sync, 2, 1);
    for (const worker of this.#workers) worker.postMessage("end");
    await this.#ended;
  }

  /** The next reply of every worker. When one fails the others would wait for it for ever, so all are ended. */
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

/** The graph that makes updates of a worker's matrices: y0 of x0 and so on. */
async function orthogonaliser({ matrices }: Share): Promise<Uint8Array | undefined> {
  if (matrices.length === 0) return undefined;
  const outputs = matrices.map(({ rows, columns }, i) => [`y${i}`, orthogonalised(input(`x${i}`, [rows, columns]))] as const);
  return (await inTurns(encodeModel(Object.fromEntries(outputs), {}))).model;
}

const plain = (feeds: Feeds): Record<string, NdArray> => ({ ...feeds });
