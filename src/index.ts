/// <reference lib="esnext.disposable" preserve="true" />
export { ERROR_CODES, type ErrorCode, meaningOf, OPTION_FAULTS } from "./core/error-codes.ts";
export { UserError } from "./core/errors.ts";
export type { Notice } from "./core/notice.ts";
export * from "./pipeline/index.ts";
