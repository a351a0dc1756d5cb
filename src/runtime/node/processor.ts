import { readFileSync } from "node:fs";
import { cpus } from "node:os";

/** Properties that distinguish kinds of processors: platform, architecture, name and, where the system lists them, instruction sets. */
export function processor(): string[] {
  const flags = process.platform === "linux" ? /^(?:flags|Features)\s*:(.*)$/m.exec(cpuinfo())?.[1] : undefined;
  return [process.platform, process.arch, cpus()[0]?.model ?? "", flags?.trim() ?? ""];
}

function cpuinfo(): string {
  try {
    return readFileSync("/proc/cpuinfo", "utf8");
  } catch {
    return "";
  }
}
