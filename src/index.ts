export { UserError } from "./core/errors.ts";
export type { Notice } from "./core/notice.ts";
export * from "./pipeline/index.ts";
