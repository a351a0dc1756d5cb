import { CommanderError } from "commander";
import { messageOf, UserError } from "../../core/errors.ts";
import type { CliIo } from "./io.ts";
import { paint, RED } from "./progress.ts";

/** Exit codes. */
export const EXIT = { ok: 0, userError: 1, usage: 2, fault: 70, interrupted: 130 } as const;

interface Told {
  readonly exit: number;
  readonly code: string;
  readonly problem: string;
  readonly remedy: string;
  /** Stack of an internal error. */
  readonly stack?: string;
}

/**
 * Reports an error with its remedy: in two lines on stderr, or as JSON on stdout.
 * @returns the exit code
 */
export function reportError(error: unknown, { stdout, stderr, env, signal }: CliIo, json: boolean): number {
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok; // help or version was shown
  if (error instanceof CommanderError && error.code === "commander.help") return EXIT.usage;
  const { exit, code, problem, remedy, stack } = tell(error, signal.aborted);
  if (json) stdout.write(`${JSON.stringify({ error: { code, problem, remedy, ...(stack !== undefined && { stack }) } })}\n`);
  else {
    stderr.write(`${paint("error:", RED, stderr, env)} ${problem}\n${paint("what to do:", RED, stderr, env)} ${remedy}\n`);
    if (stack !== undefined) stderr.write(`${stack}\n`);
  }
  return exit;
}

function tell(error: unknown, interrupted: boolean): Told {
  if (interrupted) {
    const download = error instanceof UserError && error.code === "download/interrupted";
    return {
      exit: EXIT.interrupted,
      code: download ? error.code : "interrupted",
      problem: download ? error.message : "Stopped. Nothing unfinished was written.",
      remedy: download ? error.remedy : "Run the command again when you are ready.",
    };
  }
  if (error instanceof UserError) return { exit: EXIT.userError, code: error.code, problem: error.message, remedy: error.remedy };
  if (error instanceof CommanderError) {
    const [problem, ...hints] = error.message.replace(/^error: /, "").split("\n");
    const hint = hints.join(" ").replace(/^\(|\)$/g, "");
    return {
      exit: EXIT.usage,
      code: `usage/${error.code.replace(/^commander\./, "")}`,
      problem: `${problem}.`,
      remedy: `${hint}${hint && " "}See --help.`,
    };
  }
  return {
    exit: EXIT.fault,
    code: "internal",
    problem: `Internal error: ${messageOf(error)}`,
    remedy: "This is a bug in photomaker. Please report it where you got photomaker from, with the command and the lines below.",
    stack: (error instanceof Error ? error.stack : undefined) ?? String(error),
  };
}
