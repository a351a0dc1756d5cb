import { setTimeout as sleep } from "node:timers/promises";

/** Waits until something is so, which it must be soon. */
export async function waitFor(isSo: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  for (const until = Date.now() + withinMs; !(await isSo()); await sleep(15))
    if (Date.now() > until) throw new Error(`it is not so after ${withinMs} ms: ${isSo}`);
}
