import { probeEightBits, type WeightRange } from "../runtime/eight-bit-probe.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";

const runtime = ortRuntime({ threads: 1 });
const best = await probeEightBits(runtime).finally(() => runtime.close());

/** Ranges of 8-bit weights for which products are correct on this processor, the widest first. */
export const weightRanges: readonly WeightRange[] = best === "full" ? ["full", "paired"] : best === undefined ? [] : [best];
