import { EXIT } from "./report-error.ts";

/** The parts of the process that are used; a test has its own. */
export interface Ending {
  exitCode?: number | string | null | undefined;
  on(name: "exit", listener: () => void): unknown;
}

/**
 * Reports when the program ends without a result: Node ends a program when nothing keeps it alive, even if something is still awaited.
 *
 * @param write writes synchronously, since nothing runs after the end
 * @returns a function to call when the work has ended, well or not
 */
export function sayLostEnd(program: Ending, write: (text: string) => void): () => void {
  let done = false;
  program.on("exit", () => {
    if (done) return;
    write(
      "error: Internal error: photomaker ended before its work was done.\n" +
        "what to do: Run it again; finished files were kept. If it happens again, please report it where you got photomaker from, with the command.\n",
    );
    program.exitCode = EXIT.fault;
  });
  return () => {
    done = true;
  };
}
