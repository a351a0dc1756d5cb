import type { FloatArray } from "../core/array.ts";
import { messageOf, UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import { inTurns } from "../core/steps.ts";
import { attentionIsRight, attentionProbe, attentionProbeFeeds } from "./attention-probe.ts";
import { deviceUnavailable, type Gpu } from "./device.ts";
import { encodeModel } from "./encode-model.ts";
import type { ModelProcess } from "./model-process.ts";

export interface OpenDevice {
  /** The device's own attention is wrong. */
  readonly plainAttention?: boolean;
  readonly notices: readonly Notice[];
}

/** Sessions of models are counted from 0. */
const PROBE = -1;

/**
 * Runs a small model on a device: whether there is one, and on WebGPU whether its attention is right.
 * @throws UserError device/unavailable
 */
export async function openDevice(process: ModelProcess, device: Gpu): Promise<OpenDevice> {
  try {
    const { model, options } = await inTurns(encodeModel(attentionProbe, { device }));
    // so that it cannot run on the processor unnoticed
    const session = { ...(options.extra?.session as object), disable_cpu_ep_fallback: "1" };
    await process.ask({ kind: "load", session: PROBE, model, options: { ...options, extra: { session } } });
    const fetches = Object.keys(attentionProbe);
    const values = await process.ask({ kind: "run", session: PROBE, feeds: attentionProbeFeeds, fetches });
    await process.ask({ kind: "release", session: PROBE });
    if (device !== "webgpu") return { notices: [] }; // CUDA's products are rounded to fewer bits (TF32), whichever form is taken
    if (attentionIsRight(values as Record<keyof typeof attentionProbe, FloatArray>)) return { notices: [] };
  } catch (error) {
    if (!process.alive && !(error instanceof UserError)) throw error; // it was closed
    const unavailable = deviceUnavailable(device, messageOf(error));
    await process.end(unavailable);
    throw unavailable;
  }
  const message =
    `ONNX Runtime's attention is wrong on this ${device} device, so that it is computed by products and a softmax: ` +
    "right, but slower, and it takes more memory.";
  return { plainAttention: true, notices: [{ code: "device/plain-attention", message }] };
}
