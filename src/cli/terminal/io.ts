import type { Ask } from "./ask.ts";

/** A stream for text, and for a picture written to stdout: stdout, stderr, or a test's own. */
export interface TextStream {
  write(text: string | Uint8Array): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** Everything that the command line touches outside itself; tests substitute their own. */
export interface CliIo {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Asks the user; absent where nobody can answer. */
  readonly ask?: Ask | undefined;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Clock, milliseconds. */
  readonly now: () => number;
  /** Peak memory of the program so far, in bytes. */
  readonly peakMemory: () => number;
}
