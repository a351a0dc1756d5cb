import { type FloatArray, floats } from "../../core/array.ts";
import { messageOf, UserError } from "../../core/errors.ts";
import type { Notice } from "../../core/notice.ts";
import { inTurns } from "../../core/steps.ts";
import { linear } from "../../graph/ops/matrix.ts";
import { constant, input } from "../../graph/ops/source.ts";
import type { Tensor } from "../../graph/tensor.ts";
import { attentionIsRight, attentionProbe, attentionProbeFeeds } from "../attention-probe.ts";
import { deviceUnavailable, type Gpu, withoutSourceLocation } from "../device.ts";
import type { Feeds } from "../runtime.ts";
import { encodeModel } from "./encode-model.ts";
import type { ModelProcess } from "./model-process.ts";

export interface OpenDevice {
  /** Whether the device's own attention is wrong. */
  readonly plainAttention?: boolean;
  readonly notices: readonly Notice[];
}

/** Session number of the probe; sessions of models are counted from 0. */
const PROBE = -1;

/**
 * Runs a small model on a device to check that the device is usable and, on WebGPU, whether its attention is correct.
 * @throws UserError device/unavailable
 */
export async function openDevice(process: ModelProcess, device: Gpu): Promise<OpenDevice> {
  try {
    const values = await probe(process, device, attentionProbe, attentionProbeFeeds);
    if (device !== "webgpu") return { notices: [] }; // CUDA rounds products to fewer bits (TF32) in either form of attention
    if (attentionIsRight(values)) return { notices: [] };
  } catch (error) {
    if (!process.alive && !(error instanceof UserError)) throw error; // it was closed
    const unavailable = deviceUnavailable(device, messageOf(error));
    await process.end(unavailable);
    throw unavailable;
  }
  const message =
    `ONNX Runtime's attention is wrong on this ${device} device, so it is computed by products and a softmax, ` +
    "which is correct, but slower, and takes more memory.";
  return { plainAttention: true, notices: [{ code: "device/plain-attention", message }] };
}

/**
 * Checks that an opened device computes in float16.
 * @throws UserError precision/not-on-device
 */
export async function checkHalf(process: ModelProcess, device: Gpu): Promise<void> {
  const x = input("x", [1, 4]);
  const y = linear(x, constant([1, 2, 3, 4], [1, 4]));
  try {
    await probe(process, device, { y }, { x: floats(Float32Array.of(1, 2, 3, 4), 1, 4) }, true);
  } catch (error) {
    if (!process.alive) throw error;
    throw new UserError(
      "precision/not-on-device",
      `This ${device} device does not compute in half precision (f16): ${withoutSourceLocation(messageOf(error))}`,
      "Take --precision f32.",
    );
  }
}

/** Runs a model once, entirely on the device. */
async function probe<Name extends string>(
  process: ModelProcess,
  device: Gpu,
  outputs: Readonly<Record<Name, Tensor>>,
  feeds: Feeds,
  half = false,
): Promise<Record<Name, FloatArray>> {
  const { model, options } = await inTurns(encodeModel(outputs, { device, half }));
  // otherwise it could run on the processor unnoticed
  const session = { ...(options.extra?.session as object), disable_cpu_ep_fallback: "1" };
  await process.ask({ kind: "load", session: PROBE, model, options: { ...options, extra: { session } } });
  const values = await process.ask({ kind: "run", session: PROBE, feeds, fetches: Object.keys(outputs) });
  await process.ask({ kind: "release", session: PROBE });
  return values as Record<Name, FloatArray>;
}
