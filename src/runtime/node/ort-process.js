// @ts-check
// Plain JavaScript, because Node starts a process from a file that it can run as it is.

/**
 * @typedef {{ dtype: "f32" | "i64", dims: readonly number[], data: Float32Array | BigInt64Array }} Wire
 * @typedef {{ id: number } & (
 *   | { kind: "load", session: number, model: Uint8Array | string, options: import("onnxruntime-common").InferenceSession.SessionOptions }
 *   | { kind: "run", session: number, feeds: Record<string, Wire>, fetches: string[] }
 *   | { kind: "release", session: number })} Request
 */

for (const name of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(name, () => {}); // Ctrl-C reaches the whole process group; the parent decides when to end
process.on("disconnect", () => process.exit());

// ONNX Runtime reads this when it is loaded, so it comes before the import.
process.env.ORT_DISABLE_TELEMETRY ??= "1";
const { InferenceSession, Tensor } = await import("onnxruntime-node");

/** @type {Map<number, import("onnxruntime-common").InferenceSession>} */
const sessions = new Map();

/** @param {Request} request */
async function answer(request) {
  if (request.kind === "load") {
    const { model, options } = request;
    // one overload takes the path of a file, another its bytes
    const session =
      typeof model === "string" ? await InferenceSession.create(model, options) : await InferenceSession.create(model, options);
    sessions.set(request.session, session);
    return undefined;
  }
  const session = sessions.get(request.session);
  if (session === undefined) throw new Error("the session was released");
  if (request.kind === "release") {
    sessions.delete(request.session);
    await session.release();
    return undefined;
  }
  /** @type {Record<string, import("onnxruntime-common").Tensor>} */
  const feeds = {};
  for (const [name, { data, dims }] of Object.entries(request.feeds))
    feeds[name] = data instanceof Float32Array ? new Tensor("float32", data, dims) : new Tensor("int64", data, dims);
  const results = await session.run(feeds, request.fetches);
  /** @type {Record<string, Wire>} */
  const value = {};
  for (const name of request.fetches) {
    const { data, dims } = /** @type {import("onnxruntime-common").Tensor} */ (results[name]);
    value[name] = { dtype: "f32", dims, data: /** @type {Float32Array} */ (data) };
  }
  return value;
}

/** @param {{ id: number, value?: unknown, error?: string }} reply */
const send = (reply) =>
  process.send?.({ ...reply, memory: process.memoryUsage.rss(), peakMemory: process.resourceUsage().maxRSS * 1024 });

/** @param {Request} request */
async function settle(request) {
  try {
    send({ id: request.id, value: await answer(request) });
  } catch (error) {
    send({ id: request.id, error: error instanceof Error ? error.message : String(error) });
  }
}

// One request after the other: two WebGPU sessions that run at once crash (onnxruntime #32561).
let last = Promise.resolve();
process.on("message", (/** @type {Request} */ request) => {
  last = last.then(() => settle(request));
});
