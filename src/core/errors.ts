import type { ErrorCode } from "./error-codes.ts";

export type { ErrorCode } from "./error-codes.ts";

/**
 * A mistake that the user can correct: says what is wrong and what to do about it.
 * Anything else that is thrown is a fault of this program.
 */
export class UserError extends Error {
  /** Stable name for programs, such as `prompt/trigger-missing`; `error-codes.ts` lists them all. */
  readonly code: ErrorCode;
  /** What the user can do about it. */
  readonly remedy: string;

  constructor(code: ErrorCode, problem: string, remedy: string, options?: { readonly cause?: unknown }) {
    super(problem, options);
    this.name = "UserError";
    this.code = code;
    this.remedy = remedy;
  }
}

/** The message of whatever was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The code of a Node system error such as `ENOENT`, or undefined. */
export const systemCode = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
