/** Long work that yields now and then; its runner decides what happens meanwhile. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** Runs the steps to the end without a break. */
export function atOnce<T>(steps: Steps<T>): T {
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

/** Time between two turns of the event loop. */
const TURN_MS = 10;

/** Runs the steps and lets the event loop turn in between, so that others do not wait for long work. */
export async function inTurns<T>(steps: Steps<T>): Promise<T> {
  let last = performance.now();
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value;
    if (performance.now() - last < TURN_MS) continue;
    await new Promise<void>((resolve) => void setTimeout(resolve, 0));
    last = performance.now();
  }
}
