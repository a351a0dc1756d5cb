// @ts-check
// Plain JavaScript, because Node starts a worker from a file that it can run as it is.
import { parentPort } from "node:worker_threads";

/**
 * @typedef {{ dtype: "f32" | "i64", dims: readonly number[], data: Float32Array | BigInt64Array }} Wire
 * @typedef {{ id: number } & (
 *   | { kind: "load", session: number, model: Uint8Array, options: import("onnxruntime-common").InferenceSession.SessionOptions }
 *   | { kind: "run", session: number, feeds: Record<string, Wire>, fetches: string[] }
 *   | { kind: "release", session: number })} Request
 */

// ONNX Runtime reads this when it is loaded, so it comes before the import.
process.env.ORT_DISABLE_TELEMETRY ??= "1";
const { InferenceSession, Tensor } = await import("onnxruntime-node");

if (parentPort === null) throw new Error("ort-worker.js runs as a worker thread only");
const port = parentPort;

/** @type {Map<number, import("onnxruntime-common").InferenceSession>} */
const sessions = new Map();

/** @param {Request} request */
async function answer(request) {
  if (request.kind === "load") {
    const session = await InferenceSession.create(request.model, request.options);
    sessions.set(request.session, session);
    return { value: undefined, transfer: [] };
  }
  const session = sessions.get(request.session);
  if (session === undefined) throw new Error("the session was released");
  if (request.kind === "release") {
    sessions.delete(request.session);
    await session.release();
    return { value: undefined, transfer: [] };
  }
  /** @type {Record<string, import("onnxruntime-common").Tensor>} */
  const feeds = {};
  for (const [name, { data, dims }] of Object.entries(request.feeds))
    feeds[name] = data instanceof Float32Array ? new Tensor("float32", data, dims) : new Tensor("int64", data, dims);
  const results = await session.run(feeds, request.fetches);
  /** @type {Record<string, Wire>} */
  const value = {};
  /** @type {ArrayBuffer[]} */
  const transfer = [];
  for (const name of request.fetches) {
    const tensor = /** @type {import("onnxruntime-common").Tensor} */ (results[name]);
    const data = /** @type {Float32Array} */ (tensor.data).slice(); // ONNX Runtime's own memory cannot be transferred
    value[name] = { dtype: "f32", dims: tensor.dims, data };
    transfer.push(/** @type {ArrayBuffer} */ (data.buffer));
    tensor.dispose();
  }
  return { value, transfer };
}

port.on("message", async (/** @type {Request} */ request) => {
  try {
    const { value, transfer } = await answer(request);
    port.postMessage({ id: request.id, value }, transfer);
  } catch (error) {
    port.postMessage({ id: request.id, error: error instanceof Error ? error.message : String(error) });
  }
});
