/** Where text goes, and a picture that is written to stdout: stdout or stderr, or a test's own. */
export interface TextStream {
  write(text: string | Uint8Array): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** All that the command line touches outside of itself, so that tests can stand in for it. */
export interface CliIo {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Milliseconds. */
  readonly now: () => number;
  /** The most memory that the program has had so far, in bytes. */
  readonly peakMemory: () => number;
}
