import { createInterface } from "node:readline/promises";
import type { Readable, Writable } from "node:stream";

/**
 * Asks a question on a terminal.
 * @returns the answer without spaces around it, or undefined where the input ends
 * @throws AbortError when the signal is aborted
 */
export type Ask = (question: string) => Promise<string | undefined>;

/**
 * Asks on a terminal's streams. Ctrl-C is passed on as the signal that it is without a question.
 * @param interrupt sends SIGINT to the program
 */
export const askOn =
  (input: Readable, output: Writable, signal: AbortSignal, interrupt: () => void): Ask =>
  async (question) => {
    signal.throwIfAborted();
    const lines = createInterface({ input, output });
    lines.on("SIGINT", interrupt);
    const ended = new Promise<undefined>((end) => lines.once("close", () => end(undefined)));
    try {
      return (await Promise.race([lines.question(question, { signal }), ended]))?.trim();
    } finally {
      lines.close();
    }
  };
