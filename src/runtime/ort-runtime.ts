import { Worker } from "node:worker_threads";
import type { InferenceSession } from "onnxruntime-common";
import type { NdArray } from "../core/array.ts";
import { inTurns } from "../core/steps.ts";
import type { Tensor } from "../graph/tensor.ts";
import { encodeModel, type ModelOptions } from "./encode-model.ts";
import type { Feeds, Runtime, Session } from "./runtime.ts";

/** ONNX Runtime in a worker thread, so that neither loading nor running holds up the event loop. */
export function ortRuntime(how: ModelOptions = {}): Runtime {
  const worker = new OrtWorker();
  let sessions = 0;
  return {
    async load<Output extends string>(outputs: Readonly<Record<Output, Tensor>>): Promise<Session<Output>> {
      const { model, options } = await inTurns(encodeModel(outputs, how));
      const session = sessions++;
      await worker.ask({ kind: "load", session, model, options });
      const all = Object.keys(outputs) as Output[];
      return {
        async run<Name extends Output>(feeds: Feeds, names?: readonly Name[]) {
          const fetches = names ?? (all as string[] as Name[]);
          const value = await worker.ask({ kind: "run", session, feeds, fetches });
          return value as Record<Name, NdArray>;
        },
        close: async () => void (await worker.ask({ kind: "release", session })),
      };
    },
    close: () => worker.close(),
  };
}

type Question =
  | { kind: "load"; session: number; model: Uint8Array; options: InferenceSession.SessionOptions }
  | { kind: "run"; session: number; feeds: Feeds; fetches: readonly string[] }
  | { kind: "release"; session: number };

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

class OrtWorker {
  #worker: Worker | undefined;
  #closed = false;
  readonly #waiting = new Map<number, Waiting>();
  readonly #onIdle: (() => void)[] = [];
  #count = 0;

  ask(question: Question): Promise<unknown> {
    if (this.#closed) return Promise.reject(new Error("the runtime was closed"));
    this.#worker ??= this.#start();
    const worker = this.#worker;
    const id = this.#count++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ id, ...question });
    });
  }

  /** Waits for what runs: a thread that is ended inside ONNX Runtime takes the whole process with it. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#waiting.size > 0) await new Promise<void>((idle) => this.#onIdle.push(idle));
    await this.#worker?.terminate();
  }

  #idle(): void {
    for (const idle of this.#onIdle.splice(0)) idle();
  }

  #start(): Worker {
    const worker = new Worker(new URL("./ort-worker.js", import.meta.url));
    worker.on("message", ({ id, value, error }: { id: number; value?: unknown; error?: string }) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) {
        worker.unref(); // an idle worker keeps no program alive
        this.#idle();
      }
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(new Error(error));
    });
    const fail = (error: Error): void => {
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
      this.#worker = undefined;
      this.#idle();
    };
    worker.on("error", fail);
    worker.on("exit", () => fail(new Error("the worker that runs the models has ended")));
    return worker;
  }
}
