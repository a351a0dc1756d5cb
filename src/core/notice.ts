import type { NoticeCode } from "./notice-codes.ts";

/**
 * Something the user should know although nothing failed: a class word of two tokens, text that was cut,
 * a LoRA key that matched nothing. Passed up as data; command line and server decide how to show it.
 */
export interface Notice {
  /** Stable identifier for programs, such as `prompt/cut`: one of `NOTICE_CODES`. */
  readonly code: NoticeCode;
  readonly message: string;
}
