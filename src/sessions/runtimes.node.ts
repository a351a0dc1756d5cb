import type { Device } from "../runtime/device.ts";
import { MemoryGauge } from "../runtime/node/memory-gauge.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import type { Runtime } from "../runtime/runtime.ts";

// The only module above the runtime that knows which runtime is used: ONNX Runtime in processes of Node.
export { availableMemory } from "../runtime/node/available-memory.ts";
export { computeInCache } from "../runtime/node/prepare/compute-in-cache.ts";
export { prepareInCache } from "../runtime/node/prepare/prepare-in-cache.ts";

interface Threads {
  /** All cores when absent. */
  readonly threads?: number | undefined;
}

/** Opens two runtimes: the second is for models that compute while the first loads others. Each starts its process when it is first needed; their memory is counted together. */
export function openRuntimes(how: Threads & { readonly device: Device }): readonly [Runtime, Runtime] {
  const gauge = new MemoryGauge();
  return [ortRuntime(how, gauge), ortRuntime({ ...how, spin: false }, gauge)];
}

/** Opens a runtime on the processor, whose process starts when it is first needed. The caller closes it. */
export const openRuntime = (how: Threads = {}): Runtime => ortRuntime(how);

/**
 * Runs `use` with a runtime on the processor; afterwards the process has ended and all memory is free.
 * @param how.lean whether memory is freed as soon as a value is no longer needed
 */
export async function withRuntime<T>(
  how: Threads & { readonly lean?: boolean },
  use: (runtime: Runtime) => Promise<T>,
): Promise<T> {
  const runtime = ortRuntime(how);
  try {
    return await use(runtime);
  } finally {
    await runtime.close();
  }
}
