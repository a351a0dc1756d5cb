import { randomBytes } from "node:crypto";
import { open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Longest time without a byte after which the file of a process that cannot be asked is taken over. */
const ABANDONED_MS = 600_000;

/**
 * The unfinished part of a blob, held by this process alone: its name says who writes to it, and taking one over is
 * a rename, which only one process can win. No lock is needed, so none can be left behind.
 */
export interface PartialFile {
  readonly path: string;
  /** Gives the whole file its final name. */
  finish(): Promise<void>;
  /** Leaves what is there for the next run. */
  release(): Promise<void>;
  remove(): Promise<void>;
}

/**
 * Takes over the largest part that an earlier run left, or begins a new one. While another living process writes the
 * same blob, waits for it.
 * @returns undefined when the blob is there by now
 */
export async function claimPartial(
  folder: string,
  oid: string,
  options: { readonly signal?: AbortSignal | undefined; readonly onWait?: () => void; readonly pollMs?: number } = {},
): Promise<PartialFile | undefined> {
  for (;;) {
    const names = await readdir(folder);
    if (names.includes(oid)) return undefined;
    const parts = names.filter((name) => name.startsWith(`${oid}.`) && name.endsWith(".incomplete"));
    const found = await Promise.all(parts.map((name) => examine(folder, oid, name)));
    if (!found.some((part) => part?.busy)) {
      const largest = found.filter((part) => part !== undefined).sort((a, b) => b.size - a.size)[0];
      const claimed = await claim(folder, oid, largest?.name);
      if (claimed !== undefined) return claimed;
    } else {
      options.onWait?.();
      await sleep(options.pollMs ?? 500, undefined, options.signal ? { signal: options.signal } : {});
    }
  }
}

async function examine(
  folder: string,
  oid: string,
  name: string,
): Promise<{ name: string; size: number; busy: boolean } | undefined> {
  const [, pid, host] = /^(\d+)_\w+@(.+)\.incomplete$/.exec(name.slice(oid.length + 1)) ?? [];
  const found = await stat(join(folder, name)).catch(() => undefined);
  if (found === undefined) return undefined;
  const fresh = Date.now() - found.mtimeMs < ABANDONED_MS;
  const busy = pid !== undefined && fresh && (host !== hostname() || isAlive(Number(pid)));
  return { name, size: found.size, busy };
}

async function claim(folder: string, oid: string, old: string | undefined): Promise<PartialFile | undefined> {
  const path = join(folder, `${oid}.${process.pid}_${randomBytes(4).toString("hex")}@${hostname()}.incomplete`);
  if (old === undefined) await (await open(path, "wx")).close();
  else {
    const won = await rename(join(folder, old), path).then(
      () => true,
      () => false,
    );
    if (!won) return undefined;
    await utimes(path, new Date(), new Date());
  }
  return {
    path,
    finish: () => rename(path, join(folder, oid)),
    release: async () => {
      const { size } = await stat(path);
      await (size > 0 ? rename(path, join(folder, `${oid}.incomplete`)) : rm(path));
    },
    remove: () => rm(path, { force: true }),
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0); // signal 0 only asks
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
