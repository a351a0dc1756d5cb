import { readFileSync } from "node:fs";
import { totalmem } from "node:os";

/**
 * The most memory that programs which are started now can have, in bytes: on Linux what is free or can be freed, with swap, elsewhere all of it,
 * since other systems do not tell what they could free; and no more than a container is granted.
 */
export function availableMemory(): number {
  return Math.min(freeable() ?? totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}

/** See proc(5), /proc/meminfo. */
function freeable(): number | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    return freeableOf(readFileSync("/proc/meminfo", "utf8"));
  } catch {
    return undefined; // not there in every container
  }
}

/** @param text of /proc/meminfo @returns bytes, if it tells them */
export function freeableOf(text: string): number | undefined {
  const of = (name: string): number => 1024 * Number(new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(text)?.[1]);
  const bytes = of("MemAvailable") + of("SwapFree");
  return Number.isNaN(bytes) ? undefined : bytes;
}
