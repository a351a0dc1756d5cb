import type { Device } from "../../runtime/device.ts";
import { MemoryGauge } from "../../runtime/node/memory-gauge.ts";
import { ortRuntime } from "../../runtime/node/ort-runtime.ts";
import type { Runtime } from "../../runtime/runtime.ts";

// The one place that chooses where PhotoMaker's models run: ONNX Runtime in processes of Node.
export { availableMemory } from "../../runtime/node/available-memory.ts";
export { prepareInCache } from "../../runtime/node/prepare/prepare-in-cache.ts";

/** @returns the second is for models that compute while the first loads others; each has a process once it is needed */
export function openRuntimes(how: {
  readonly threads?: number | undefined;
  readonly device: Device;
}): readonly [Runtime, Runtime] {
  const gauge = new MemoryGauge();
  return [ortRuntime(how, gauge), ortRuntime({ ...how, spin: false }, gauge)];
}
