import { randomBytes } from "node:crypto";
import { hostname } from "node:os";

/** A name for what this process holds, in the name of a file: no two are alike. */
export const holderName = (): string => `${process.pid}_${randomBytes(4).toString("hex")}@${hostname()}`;

/**
 * Whether a holder may still be at work. A process of this machine is asked; of one of another machine nothing is known.
 * @param holder what {@link holderName} gave; any other text stands for nobody
 */
export function mayBeAtWork(holder: string): boolean {
  const [, pid, host] = /^(\d+)_\w+@(.+)$/.exec(holder) ?? [];
  return pid !== undefined && (host !== hostname() || isAlive(Number(pid)));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0); // signal 0 only asks
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
