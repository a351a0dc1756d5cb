import type { TextStream } from "./io.ts";

/** The parts of the process that are used; a test has its own. */
export interface Signalled {
  readonly pid: number;
  readonly stderr: TextStream;
  on(name: NodeJS.Signals, listener: (name: NodeJS.Signals) => void): unknown;
  removeListener(name: NodeJS.Signals, listener: (name: NodeJS.Signals) => void): unknown;
  kill(pid: number, name: NodeJS.Signals): unknown;
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;
/** Time after which a message says that stopping takes a while. */
const SAY_MS = 5000;
/** Longer than a training step and its checkpoint, the longest work that continues after a signal. */
const MOST_MS = 10 * 60_000;

/**
 * Makes a signal that the first SIGINT or SIGTERM aborts. A second one ends the program at once, and so does a time limit.
 * Both leave that to the system, since process.exit would wait for running threads.
 */
export function stopOnSignal(program: Signalled): AbortSignal {
  const interrupt = new AbortController();
  const stop = (name: NodeJS.Signals): void => {
    for (const each of SIGNALS) program.removeListener(each, stop); // restores the system's default action
    interrupt.abort(new DOMException(`Stopped by ${name}.`, "AbortError"));
    const say = () =>
      program.stderr.write("Stopping: waiting for the current work to end. Press Ctrl-C again to stop at once.\n");
    setTimeout(say, SAY_MS).unref();
    setTimeout(() => program.kill(program.pid, name), MOST_MS).unref();
  };
  for (const name of SIGNALS) program.on(name, stop);
  return interrupt.signal;
}
