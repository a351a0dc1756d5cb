import { readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { holderName, mayBeAtWork } from "../core/holder.node.ts";

/** Where numbers of processes mean the same; containers of one machine have each their own. */
function processSpace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

const SPACE = processSpace();
const HOLDER = holderName();

/** The name under which this process holds tasks. */
export const THIS_WORKER = `${HOLDER} ${SPACE}`;

/** Whether the process of a name that {@link THIS_WORKER} was is known to have ended. Of other machines and containers nothing is known. */
export function isGone(worker: string): boolean {
  const [holder = "", space = ""] = worker.split(" ");
  if (holder === HOLDER || space !== SPACE) return false;
  const [, pid, host] = /^(\d+)_\w+@(.+)$/.exec(holder) ?? [];
  if (pid === undefined || host !== hostname()) return false;
  return Number(pid) === process.pid || !mayBeAtWork(holder); // this process's own number was another's before
}
