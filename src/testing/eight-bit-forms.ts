import { type EightBits, probeEightBits } from "../runtime/eight-bit-probe.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";

const runtime = ortRuntime({ threads: 1 });
const best = await probeEightBits(runtime).finally(() => runtime.close());

/** Forms of weights in 8 bits whose products are right on this processor, the most accurate first. */
export const eightBitForms: readonly EightBits[] = best === "full" ? ["full", "paired"] : best === undefined ? [] : [best];
