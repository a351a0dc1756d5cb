export { type DownloadOptions, type DownloadProgress, downloadModel, findCached, type HubOptions } from "./download-model.ts";
export { type HubId, parseHubId } from "./hub-id.ts";
export { type Environment, hubSettings } from "./hub-settings.ts";
export { resolveHubOrPath } from "./resolve-hub-or-path.ts";
export type { Retry, RetryPolicy } from "./retry.ts";
