// @ts-check
// Plain JavaScript, because Node starts a worker from a file that it can run as it is.
import { parentPort, workerData } from "node:worker_threads";
import { accumulate, adamw, addGradients, average } from "./adamw.js";
import { computeIn } from "./kernels.js";
import { direction, shrinkAndMove } from "./muon.js";

/**
 * @typedef {{ dtype: "f32" | "i64", dims: readonly number[], data: Float32Array | BigInt64Array }} Wire
 * @typedef {{ index: number, model: Uint8Array, options: import("onnxruntime-common").InferenceSession.SessionOptions,
 *   fed: import("./parameter.ts").Fed[], metrics: string[], loss: string, state: import("./parallel-steps.ts").TrainingState, sync: SharedArrayBuffer,
 *   sums: SharedArrayBuffer, share: import("./shares.ts").Share, own: import("./shares.ts").Range[],
 *   orthogonal: Uint8Array | undefined }} Setup
 * @typedef {import("./parallel-steps.ts").Update} Update
 * @typedef {{ batches: Record<string, Wire>[], update: Update }} Request
 */

// ONNX Runtime reads this when it is loaded, so it comes before the import.
process.env.ORT_DISABLE_TELEMETRY ??= "1";
const { env, InferenceSession, Tensor } = await import("onnxruntime-node");
env.logLevel = "fatal"; // a thread has no stderr of its own; errors are thrown and sent to the main thread

if (parentPort === null) throw new Error("training-worker.js runs as a worker thread only");
const port = parentPort;
const setup = /** @type {Setup} */ (workerData);
const { index, fed, metrics, own } = setup; // own: the ranges that this worker updates
const { pieces, matrices } = setup.share;
const { memory, ...arrays } = setup.state;
if (memory !== undefined) computeIn(memory);
/** @param {Float32Array} array has its own buffer object after the transfer, even if it lies in the shared memory */
const inMemory = (array) =>
  memory === undefined
    ? array
    : new Float32Array(/** @type {ArrayBuffer} */ (/** @type {unknown} */ (memory.buffer)), array.byteOffset, array.length);
const [params, m, v] = [inMemory(arrays.params), inMemory(arrays.m), inMemory(arrays.v)];
const ema = arrays.ema && inMemory(arrays.ema);
const everyone = arrays.gradients.map(inMemory);
const mine = /** @type {Float32Array} */ (everyone[index]);
const theirs = everyone.filter((_, worker) => worker !== index);
const sync = new Int32Array(setup.sync);
const sums = new Float64Array(setup.sums);
const total = params.length;
const count = everyone.length;

// Tensors of ONNX Runtime cannot use shared memory, so each worker computes with its own copies.
const weights = new Float32Array(total);
const gradients = new Float32Array(total);
/** @type {Record<string, import("onnxruntime-common").Tensor>} */
const weightFeeds = {};
/** @type {Record<string, import("onnxruntime-common").Tensor | null>} */
const fetches = Object.fromEntries(metrics.map((name) => [name, null]));
for (const place of fed) {
  weightFeeds[place.name] = new Tensor("float32", part(weights, place), place.dims);
  fetches[`grad:${place.name}`] = new Tensor("float32", part(gradients, place), place.dims);
}
const session = await InferenceSession.create(setup.model, setup.options);

const orthogonaliser = setup.orthogonal && (await InferenceSession.create(setup.orthogonal, setup.options));
/** @type {Record<string, import("onnxruntime-common").Tensor>} */
const steepest = {};
/** @type {Record<string, import("onnxruntime-common").Tensor>} */
const orthogonal = {};
const moves = matrices.map((matrix, i) => {
  const { length, rows, columns } = matrix;
  const directions = new Float32Array(length);
  steepest[`x${i}`] = new Tensor("float32", part(gradients, matrix), [rows, columns]);
  orthogonal[`y${i}`] = new Tensor("float32", directions, [rows, columns]);
  return { matrix, directions };
});

/**
 * @param {Float32Array} all
 * @param {{ offset: number, length: number }} place
 */
function part(all, { offset, length }) {
  return all.subarray(offset, offset + length);
}

/** Waits until every worker has reached this point. @throws when the workers are being ended: a failed worker never reaches it */
function barrier() {
  if (Atomics.load(sync, 2) !== 0) throw new Error("the training workers are being ended");
  const round = Atomics.load(sync, 1);
  if (Atomics.add(sync, 0, 1) === count - 1) {
    Atomics.store(sync, 0, 0);
    Atomics.add(sync, 1, 1);
    Atomics.notify(sync, 1);
    return;
  }
  while (Atomics.load(sync, 1) === round) {
    Atomics.wait(sync, 1, round, 100);
    if (Atomics.load(sync, 2) !== 0) throw new Error("the training workers are being ended");
  }
}

/** @param {Wire} wire */
const tensorOf = ({ data, dims }) =>
  data instanceof Float32Array ? new Tensor("float32", data, dims) : new Tensor("int64", data, dims);

/** @param {Record<string, Wire>[]} batches */
async function differentiate(batches) {
  /** @type {Record<string, Float32Array>[]} */
  const measured = [];
  for (const [i, batch] of batches.entries()) {
    if (Atomics.load(sync, 3) !== 0) throw new Error("the step was stopped");
    const feeds = { ...weightFeeds };
    for (const [name, wire] of Object.entries(batch)) feeds[name] = tensorOf(wire);
    const out = await session.run(feeds, fetches);
    measured.push(
      Object.fromEntries(metrics.map((name) => [name, Float32Array.from(/** @type {Float32Array} */ (out[name]?.data))])),
    );
    if (batches.length > 1) port.postMessage({ batch: i + 1 });
    if (i === 0) mine.set(gradients);
    else accumulate(mine, gradients);
  }
  return measured;
}

/**
 * Averages and applies this worker's share of the gradients, as in Rajbhandari et al. 2019 (arXiv 1910.02054), stage 1.
 * @param {Update} update
 * @param {number} batches
 * @param {boolean} finite whether the losses of this worker are finite
 */
async function apply({ groups, clip, emaDecay, momentum, ...options }, batches, finite) {
  barrier();
  const share = 1 / (count * batches);
  let squares = 0;
  for (const { from, to } of own)
    squares += addGradients(
      mine.subarray(from, to),
      theirs.map((each) => each.subarray(from, to)),
    );
  sums[index] = finite ? squares : Number.NaN;
  barrier();
  const norm = share * Math.sqrt(sums.reduce((a, b) => a + b, 0));
  if (!Number.isFinite(norm)) return { norm, updated: false }; // every worker has the same sum, so all leave the weights unchanged
  const scale = share * (clip > 0 ? Math.min(1, clip / (norm + 1e-6)) : 1); // torch.nn.utils.clip_grad_norm_
  for (const piece of pieces) {
    const { lr, weightDecay, beta1 = options.beta1 } = /** @type {Update["groups"][number]} */ (groups[piece.group]);
    const state = { params: part(params, piece), m: part(m, piece), v: part(v, piece) };
    adamw(state, part(mine, piece), scale, { ...options, lr, weightDecay, beta1 });
    if (ema !== undefined) average(part(ema, piece), state.params, emaDecay);
  }
  if (orthogonaliser !== undefined) {
    for (const matrix of matrices) {
      direction(part(m, matrix), part(mine, matrix), scale, momentum);
      part(gradients, matrix).set(part(mine, matrix));
    }
    await orthogonaliser.run(steepest, orthogonal);
    for (const { matrix, directions } of moves) {
      const { lr, weightDecay } = /** @type {{ lr: number, weightDecay: number }} */ (groups[matrix.group]);
      const moved = part(params, matrix);
      part(mine, matrix).set(directions);
      shrinkAndMove(moved, part(mine, matrix), matrix, { lr, weightDecay });
      if (ema !== undefined) average(part(ema, matrix), moved, emaDecay);
    }
  }
  barrier();
  return { norm, updated: true };
}

port.on("message", async (/** @type {Request | "end"} */ request) => {
  if (request === "end") return port.close(); // end only when idle: ending a thread inside ONNX Runtime would crash the whole program
  const { batches, update } = request;
  try {
    weights.set(params);
    const start = performance.now();
    const measured = await differentiate(batches);
    const computed = performance.now();
    const finite = measured.every((values) => Number.isFinite(values[setup.loss]?.[0]));
    const { norm, updated } = await apply(update, batches.length, finite);
    port.postMessage({
      measured,
      norm,
      updated,
      seconds: { compute: (computed - start) / 1000, update: (performance.now() - computed) / 1000 },
    });
  } catch (error) {
    port.postMessage({ error: error instanceof Error ? error.message : String(error) });
  }
});
port.postMessage({ ready: true });
