import { EXIT } from "./report-error.ts";

/** What of the process is needed; a test has its own. */
export interface Ending {
  exitCode?: number | string | null | undefined;
  on(name: "exit", listener: () => void): unknown;
}

/**
 * Says it when the program ends without a result: Node ends a program when nothing keeps it alive, even if something is still awaited.
 *
 * @param write writes at once: when the program ends there is no later
 * @returns to be called when the work has come to its end, whichever
 */
export function sayLostEnd(program: Ending, write: (text: string) => void): () => void {
  let done = false;
  program.on("exit", () => {
    if (done) return;
    write(
      "error: photomaker has a fault: it ended before its work did.\n" +
        "what to do: Run it again; what is whole was kept. If it happens again, please report it where you got photomaker from, with the command.\n",
    );
    program.exitCode = EXIT.fault;
  });
  return () => {
    done = true;
  };
}
