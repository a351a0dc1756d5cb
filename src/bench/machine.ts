import { readFileSync } from "node:fs";
import { arch, availableParallelism, cpus, platform, release, totalmem } from "node:os";
import { ortVersion } from "../runtime/node/ort-version.ts";

/** The machine that a measurement was made on. */
export interface Machine {
  readonly processor: string;
  /** Instruction sets that matter for matrix products, if the system reports them. */
  readonly instructions: readonly string[];
  /** Cores available to this process. */
  readonly cores: number;
  /** Bytes. */
  readonly memory: number;
  readonly system: string;
  readonly node: string;
  readonly onnxRuntime: string;
}

export const thisMachine = (): Machine => ({
  processor: cpus()[0]?.model.trim() || "unknown processor",
  instructions: instructions(),
  cores: availableParallelism(),
  memory: totalmem(),
  system: `${platform()} ${release()} ${arch()}`,
  node: process.versions.node,
  onnxRuntime: ortVersion(),
});

const TELLING = ["avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "amx_bf16", "asimddp", "i8mm", "bf16"];

function instructions(): string[] {
  try {
    const flags = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1]?.split(/\s+/) ?? [];
    return TELLING.filter((name) => flags.includes(name));
  } catch {
    return []; // not Linux
  }
}
