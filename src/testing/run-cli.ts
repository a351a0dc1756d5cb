import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { type CliTools, runCli } from "../cli/run-cli.ts";
import type { CliIo } from "../cli/terminal/io.ts";
import { UserError } from "../core/errors.ts";

const ioOf = (out: (text: string) => void, err: (text: string) => void): CliIo => ({
  stdout: { write: out },
  stderr: { write: err },
  env: { PHOTOMAKER_CONFIG: join(tmpdir(), "photomaker-without-settings.json") }, // not those of whoever runs the tests
  signal: new AbortController().signal,
  now: () => performance.now(),
  peakMemory: () => 0,
});

/**
 * Runs a command that does not print error codes. @returns the code of its error
 * @param add the command
 */
export async function codeOf(add: (program: Command, io: CliIo) => void, args: readonly string[]): Promise<string | undefined> {
  const program = new Command().exitOverride();
  add(
    program,
    ioOf(
      () => {},
      () => {},
    ),
  );
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (error instanceof UserError) return error.code;
    throw error;
  }
  return undefined;
}

/**
 * Runs the command line and captures its output.
 * @param tools those that the command uses
 */
export async function cli(
  args: readonly string[],
  tools: Partial<CliTools> = {},
  io: Partial<CliIo> = {},
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let [out, err] = ["", ""];
  const code = await runCli(
    args,
    {
      ...ioOf(
        (text) => {
          out += text;
        },
        (text) => {
          err += text;
        },
      ),
      ...io,
    },
    tools as CliTools,
  );
  return { code, out, err };
}
