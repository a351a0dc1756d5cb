import { Worker } from "node:worker_threads";
import { ownFile } from "../../../core/own-file.node.ts";
import type { LoraPair } from "../../../graph/lora.ts";
import { readFloats, readRowMajor, type TensorEntry } from "../../../weights/index.ts";
import type { WeightRange } from "../../eight-bit-probe.ts";
import { Pending, type PendingAnswer } from "../../pending.ts";
import { roundModel } from "./round-model.ts";

export interface Rounded {
  /** [in, out] */
  readonly rounded: Int8Array;
  /** [out] */
  readonly scales: Float32Array;
}

/** Whether each reading of a tensor makes bytes that nobody else has. */
const isFresh = ({ source }: TensorEntry): boolean =>
  source.kind === "file" || (source.kind === "computed" && source.stored !== undefined);

/** Rounds weights to 8 bits, in a worker thread. */
export class Rounder {
  readonly #worker: Worker;
  readonly #ended: Promise<unknown>;
  readonly #pending = new Pending<Rounded>();

  /** @param range range of weights for which products are correct */
  constructor(range: WeightRange) {
    const models = { float16: roundModel("float16", range), float32: roundModel("float32", range) };
    this.#worker = new Worker(ownFile("./round-worker.js", import.meta.url), { workerData: { models } });
    this.#worker.on("message", (answer: PendingAnswer<Rounded>) => this.#pending.settle(answer));
    this.#worker.on("error", (error) => this.#pending.fail(error));
    this.#ended = new Promise<void>((resolve) => {
      this.#worker.once("exit", () => {
        this.#pending.fail(new Error("the thread that rounds weights has ended"));
        resolve();
      });
    });
  }

  /**
   * Rounds one weight.
   * @param entry a layer's weight [out, in]
   * @param places number of kernel positions, each with a column for every channel: 1 for a linear layer
   * @param pairs LoRAs, added before rounding
   * @param columns [in] factors of the columns, applied after the LoRAs
   */
  async round(entry: TensorEntry, places: number, pairs: readonly LoraPair[], columns?: Float32Array): Promise<Rounded> {
    const [out, into] = entry.shape as [number, number];
    const isHalf = entry.dtype === "F16";
    const bytes = isHalf ? await readRowMajor(entry) : new Uint8Array((await readFloats(entry)).buffer);
    const own = bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength && isFresh(entry);
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
    const weight = { bytes, dtype: isHalf ? "float16" : "float32", shape: [out, into] };
    return this.#pending.ask((id) =>
      this.#worker.postMessage(
        { id, weight, down, up, rank, places, columns: columns ?? new Float32Array(into).fill(1) },
        own ? [bytes.buffer as ArrayBuffer] : [],
      ),
    );
  }

  async close(): Promise<void> {
    this.#worker.postMessage("end");
    await this.#ended;
  }
}
