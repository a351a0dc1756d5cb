export { type DownloadOptions, type DownloadProgress, downloadModel, findCached } from "./download-model.ts";
export { type HubId, parseHubId } from "./hub-id.ts";
export { resolveHubOrPath } from "./resolve-hub-or-path.ts";
