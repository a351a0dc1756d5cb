import type { TextStream } from "./io.ts";

/** What of the process signals need; a test has its own. */
export interface Signalled {
  readonly pid: number;
  readonly stderr: TextStream;
  on(name: NodeJS.Signals, listener: (name: NodeJS.Signals) => void): unknown;
  removeListener(name: NodeJS.Signals, listener: (name: NodeJS.Signals) => void): unknown;
  kill(pid: number, name: NodeJS.Signals): unknown;
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;
/** After this a word is said of what is waited for. */
const SAY_MS = 5000;
/** Longer than a step of training and its checkpoint take, which is the longest that anything goes on after a signal. */
const MOST_MS = 10 * 60_000;

/**
 * A signal that is aborted by the first SIGINT or SIGTERM. The second of them, whichever it is, ends the program at once, and so does time,
 * whatever waits: both by the system, since process.exit would wait for what runs in a thread.
 */
export function stopOnSignal(program: Signalled): AbortSignal {
  const interrupt = new AbortController();
  const stop = (name: NodeJS.Signals): void => {
    for (const each of SIGNALS) program.removeListener(each, stop); // so that the system does what it does without us
    interrupt.abort(new DOMException(`Stopped by ${name}.`, "AbortError"));
    const say = () => program.stderr.write("Stopping: what is under way is being ended. Press Ctrl-C again to end it at once.\n");
    setTimeout(say, SAY_MS).unref();
    setTimeout(() => program.kill(program.pid, name), MOST_MS).unref();
  };
  for (const name of SIGNALS) program.on(name, stop);
  return interrupt.signal;
}
