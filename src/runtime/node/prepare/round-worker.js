// @ts-check
// Plain JavaScript, because Node starts a worker from a file that it can run as it is.
import { parentPort, workerData } from "node:worker_threads";

/**
 * @typedef {{ bytes: Uint8Array, dtype: "float16" | "float32", shape: readonly number[] }} Stored
 * @typedef {{ id: number, weight: Stored, down: Float32Array, up: Float32Array, rank: number, places: number, columns: Float32Array }} Request
 */

// ONNX Runtime reads this when it is loaded, so it comes before the import.
process.env.ORT_DISABLE_TELEMETRY ??= "1";
// Where Float16Array exists (Node 24), ONNX Runtime converts float16 tensors to it, and its native part treats those as empty:
// https://github.com/microsoft/onnxruntime/pull/32323. Without Float16Array it keeps Uint16Arrays.
Reflect.deleteProperty(globalThis, "Float16Array");
const { env, InferenceSession, Tensor } = await import("onnxruntime-node");
env.logLevel = "fatal"; // a thread has no stderr of its own; errors are thrown and sent to the main thread

if (parentPort === null) throw new Error("round-worker.js runs as a worker thread only");
const port = parentPort;
/** @type {Map<string, Promise<import("onnxruntime-common").InferenceSession>>} */
const sessions = new Map();

/** @param {"float16" | "float32"} dtype */
function sessionOf(dtype) {
  const known = sessions.get(dtype) ?? InferenceSession.create(workerData.models[dtype], { logSeverityLevel: 4 });
  sessions.set(dtype, known);
  return known;
}

/** @param {Request} request */
async function round({ weight: { bytes, dtype, shape }, down, up, rank, places, columns }) {
  const [out, into] = /** @type {[number, number]} */ (shape);
  const count = bytes.byteLength / (dtype === "float16" ? 2 : 4);
  const values =
    dtype === "float16"
      ? new Tensor("float16", new Uint16Array(bytes.buffer, bytes.byteOffset, count), shape)
      : new Tensor("float32", new Float32Array(bytes.buffer, bytes.byteOffset, count), shape);
  const session = await sessionOf(dtype);
  const inPairs = () => new Tensor("int64", BigInt64Array.from([out, into / places / 2, 2, places], BigInt), [4]);
  const feeds = {
    ...(session.inputNames.includes("neighbours") && { neighbours: inPairs() }),
    weight: values,
    down: new Tensor("float32", down, [rank, into]),
    up: new Tensor("float32", up, [out, rank]),
    columns: new Tensor("float32", columns, [into]),
  };
  const found = /** @type {{ rounded: { data: Int8Array }, scales: { data: Float32Array } }} */ (
    /** @type {unknown} */ (await session.run(feeds))
  );
  return { rounded: found.rounded.data.slice(), scales: found.scales.data.slice() }; // memory of ONNX Runtime cannot be transferred
}

port.on("message", async (/** @type {Request | "end"} */ request) => {
  if (request === "end") return port.close();
  try {
    const value = await round(request);
    port.postMessage({ id: request.id, value }, [value.rounded.buffer, value.scales.buffer]);
  } catch (error) {
    port.postMessage({ id: request.id, error: error instanceof Error ? error.message : String(error) });
  }
});
