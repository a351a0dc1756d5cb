import type { CliIo } from "../cli/io.ts";
import { type CliTools, runCli } from "../cli/run-cli.ts";

/**
 * Runs the command line and keeps what it says.
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
      stdout: { write: (text: string) => (out += text) },
      stderr: { write: (text: string) => (err += text) },
      env: {},
      signal: new AbortController().signal,
      now: () => performance.now(),
      peakMemory: () => 0,
      ...io,
    },
    tools as CliTools,
  );
  return { code, out, err };
}
