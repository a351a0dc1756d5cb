/// <reference lib="esnext.disposable" preserve="true" />
export { UserError } from "./core/errors.ts";
export type { Notice } from "./core/notice.ts";
export * from "./pipeline/index.ts";
