import type { Device } from "../runtime/device.ts";
import { MemoryGauge } from "../runtime/node/memory-gauge.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import type { Runtime } from "../runtime/runtime.ts";

// What chooses where models run: ONNX Runtime in processes of Node. Nothing else above the runtime knows it.
export { availableMemory } from "../runtime/node/available-memory.ts";
export { computeInCache } from "../runtime/node/prepare/compute-in-cache.ts";
export { prepareInCache } from "../runtime/node/prepare/prepare-in-cache.ts";

interface Threads {
  /** All cores when absent. */
  readonly threads?: number | undefined;
}

/** Two processes, each once it is needed: the second for models that compute while the first loads others. Their memory is counted together. */
export function openRuntimes(how: Threads & { readonly device: Device }): readonly [Runtime, Runtime] {
  const gauge = new MemoryGauge();
  return [ortRuntime(how, gauge), ortRuntime({ ...how, spin: false }, gauge)];
}

/** A runtime on the processor, in one process once it is needed. Whoever opens it closes it. */
export const openRuntime = (): Runtime => ortRuntime();

/**
 * A runtime on the processor for the time that `use` needs it: afterwards its process has ended, and all memory is free.
 * @param how.lean memory is given back as soon as a value is no longer needed
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
