import { availableParallelism } from "node:os";
import { parse, relative, sep } from "node:path";
import { Worker } from "node:worker_threads";
import type { InferenceSession } from "onnxruntime-common";
import type { NdArray } from "../core/array.ts";
import { UserError } from "../core/errors.ts";
import { inTurns } from "../core/steps.ts";
import { encodeOnnx } from "../graph/onnx/encode.ts";
import type { Tensor } from "../graph/tensor.ts";
import { cpuLowerings } from "./lowerings.ts";
import type { Feeds, Runtime, Session } from "./runtime.ts";

export interface OrtOptions {
  /** Threads for one operation; all cores when absent. */
  readonly threads?: number | undefined;
  readonly device?: Device;
}
export const DEVICES = ["cpu", "webgpu", "cuda"] as const;
export type Device = (typeof DEVICES)[number];
/** How numbers are computed with; weights are kept as their file has them until they are loaded. */
export const PRECISIONS = ["f32"] as const;

/** ONNX Runtime in a worker thread, so that neither loading nor running holds up the event loop. */
export function ortRuntime({ threads, device = "cpu" }: OrtOptions = {}): Runtime {
  const worker = new OrtWorker();
  let sessions = 0;
  return {
    async load<Output extends string>(outputs: Readonly<Record<Output, Tensor>>): Promise<Session<Output>> {
      const root = new ExternalRoot();
      const model = await inTurns(encodeOnnx(outputs, { lowerings: cpuLowerings, locate: (file) => root.locate(file) }));
      const session = sessions++;
      const options: InferenceSession.SessionOptions = {
        executionProviders: device === "cpu" ? ["cpu"] : [device, "cpu"],
        intraOpNumThreads: threads ?? availableParallelism(),
        logSeverityLevel: 3,
        extra: { session: { model_external_initializers_file_folder_path: root.folder } },
      };
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

/** ONNX Runtime reads weights only from below one folder: the root of the drive that holds them. */
class ExternalRoot {
  #folder: string | undefined;

  get folder(): string {
    return this.#folder ?? parse(process.cwd()).root;
  }

  locate(file: string): string {
    const { root } = parse(file);
    this.#folder ??= root;
    if (root !== this.#folder)
      throw new UserError(
        "weights/several-drives",
        `The weight files of one model lie on two drives, ${this.#folder} and ${root}.`,
        "Put the model, its adapter and its LoRAs on the same drive.",
      );
    return relative(root, file).split(sep).join("/");
  }
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

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const worker = new Worker(new URL("./ort-worker.js", import.meta.url));
    worker.on("message", ({ id, value, error }: { id: number; value?: unknown; error?: string }) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) worker.unref(); // an idle worker keeps no program alive
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(new Error(error));
    });
    const fail = (error: Error): void => {
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
      this.#worker = undefined;
    };
    worker.on("error", fail);
    worker.on("exit", () => fail(new Error("the worker that runs the models has ended")));
    return worker;
  }
}
