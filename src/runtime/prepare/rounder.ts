import { Worker } from "node:worker_threads";
import type { LoraPair } from "../../graph/lora.ts";
import { readFloats, readRowMajor, type TensorEntry } from "../../weights/index.ts";
import { roundModel } from "./round-model.ts";

export interface Rounded {
  /** [in, out] */
  readonly rounded: Int8Array;
  /** [out] */
  readonly scales: Float32Array;
}

/** Rounds weights to 8 bits, in a thread of its own. */
export class Rounder {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve: (value: Rounded) => void; reject: (error: Error) => void }>();
  #count = 0;

  constructor() {
    const models = { float16: roundModel("float16"), float32: roundModel("float32") };
    this.#worker = new Worker(new URL("./round-worker.js", import.meta.url), { workerData: { models } });
    this.#worker.on("message", ({ id, value, error }: { id: number; value: Rounded; error?: string }) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(new Error(error));
    });
    const fail = (error: Error): void => {
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    };
    this.#worker.on("error", fail);
    this.#worker.on("exit", () => fail(new Error("the thread that rounds weights has ended")));
  }

  /** @param entry a linear layer's weight [out, in] @param pairs are added before */
  async round(entry: TensorEntry, pairs: readonly LoraPair[]): Promise<Rounded> {
    const [out, into] = entry.shape as [number, number];
    const isHalf = entry.dtype === "F16";
    const bytes = isHalf ? await readRowMajor(entry) : new Uint8Array((await readFloats(entry)).buffer);
    const own = bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength && entry.source.kind === "file";
    const ranks = pairs.map(({ down }) => down.shape[0]!);
    const rank = ranks.reduce((a, b) => a + b, 0);
    const down = new Float32Array(rank * into);
    const up = new Float32Array(out * rank);
    let from = 0;
    for (const [i, pair] of pairs.entries()) {
      const r = ranks[i]!;
      down.set(await readFloats(pair.down), from * into);
      const values = await readFloats(pair.up);
      for (let o = 0; o < out; o++) for (let k = 0; k < r; k++) up[o * rank + from + k] = values[o * r + k]! * pair.scale;
      from += r;
    }
    const id = this.#count++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      const weight = { bytes, dtype: isHalf ? "float16" : "float32", shape: [out, into] };
      this.#worker.postMessage({ id, weight, down, up, rank }, own ? [bytes.buffer as ArrayBuffer] : []);
    });
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#worker.once("exit", resolve));
    this.#worker.postMessage("end");
    await ended;
  }
}
