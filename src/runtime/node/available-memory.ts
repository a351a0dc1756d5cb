import { readFileSync } from "node:fs";
import { totalmem } from "node:os";

/**
 * Memory that is available to new programs, in bytes, within a container's limit: on Linux the memory that is free or can be freed, with swap;
 * elsewhere all memory, since other systems do not report what they could free.
 */
export function availableMemory(): number {
  return Math.min(freeable() ?? totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}

/** Memory that is free or can be freed: proc(5), /proc/meminfo. */
function freeable(): number | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    return freeableOf(readFileSync("/proc/meminfo", "utf8"));
  } catch {
    return undefined; // not every container has it
  }
}

/** @param text of /proc/meminfo @returns bytes, if the text gives them */
export function freeableOf(text: string): number | undefined {
  const of = (name: string): number => 1024 * Number(new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(text)?.[1]);
  const bytes = of("MemAvailable") + of("SwapFree");
  return Number.isNaN(bytes) ? undefined : bytes;
}
