import { basename } from "node:path/posix";
import type { DownloadProgress, HubOptions } from "../../weights/hub/index.ts";
import type { CliIo } from "./io.ts";
import { duration, type ProgressBar } from "./progress.ts";

/** Options for loading models in a command: Ctrl-C stops it, and downloads are shown. */
export const loading = (io: CliIo, progress: ProgressBar): Pick<HubOptions, "signal" | "env" | "onProgress"> => ({
  signal: io.signal,
  env: io.env,
  onProgress: showDownload(progress, io.now),
});

/** Shows a download. Its speed is that of the last seconds, so that bytes from an earlier run do not count. */
export function showDownload(progress: ProgressBar, now: () => number): (event: DownloadProgress) => void {
  const seen: { at: number; bytes: number }[] = [];
  let waiting = "";
  return ({ phase, repo, file = repo, bytes, total, retry }) => {
    if (retry !== undefined) {
      progress.note(`${file}: ${retry.problem}. Trying again in ${duration(Math.max(1, retry.waitSeconds))}.`);
      return;
    }
    if (phase === "wait") {
      if (waiting !== file) progress.note(`Another process is downloading ${file}: waiting for it.`);
      waiting = file;
      return;
    }
    const at = now();
    seen.push({ at, bytes });
    while (seen.length > 2 && at - seen[0]!.at > 10_000) seen.shift();
    const perSecond = ((bytes - seen[0]!.bytes) / Math.max(1, at - seen[0]!.at)) * 1000;
    progress.show({
      label: phase === "verify" ? `verify ${basename(file)}` : "download",
      done: bytes,
      total: Math.max(total, 1),
      text: `${byteSize(bytes)} of ${byteSize(total)}${perSecond > 0 ? `, ${byteSize(perSecond)}/s` : ""}`,
      secondsLeft: perSecond > 0 ? (total - bytes) / perSecond : undefined,
    });
  };
}

/** Formats bytes, such as "512 B" or "1.2 GB". */
export function byteSize(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
