/// <reference lib="esnext.disposable" preserve="true" />
export { ERROR_CODES, type ErrorCode, meaningOf, OPTION_FAULTS } from "./core/error-codes.ts";
export { UserError } from "./core/errors.ts";
export type { Notice } from "./core/notice.ts";
export { type PngSettings, readPngSettings as readSettings } from "./image/png-settings.ts";
export * from "./pipeline/index.ts";
export { type Description, describe, type PartDescription } from "./weights/describe.node.ts";
export { type DownloadOptions, type DownloadProgress, downloadModel, type HubOptions } from "./weights/hub/index.ts";
