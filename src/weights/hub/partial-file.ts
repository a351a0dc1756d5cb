import { open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { holderName, mayBeAtWork } from "../../core/holder.node.ts";

/** Longest time without a byte after which the file of a process that cannot be asked is taken over. */
const ABANDONED_MS = 600_000;

/** Other programs' unfinished files end in `.incomplete` only: they may be at work on them. */
const END = ".photomaker.incomplete";

/**
 * The unfinished part of a blob, held by this process alone: its name says who writes to it, and taking one over is
 * a rename, which only one process can win. No lock is needed, so none can be left behind.
 */
export interface PartialFile {
  readonly path: string;
  readonly name: string;
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
  let mine: PartialFile | undefined;
  for (;;) {
    const parts = await partsOf(folder, oid);
    const others = parts.filter(({ name, busy }) => busy && name !== mine?.name);
    if (await isThere(join(folder, oid))) {
      await mine?.remove();
      return undefined;
    }
    if (others.length === 0) {
      if (mine !== undefined) return mine; // seen alone after it had its name: whoever comes later sees it
      mine = await claim(folder, oid, parts[0]?.name);
      continue;
    }
    if (others.some(({ name }) => name < (mine?.name ?? ""))) {
      await mine?.release(); // of two that began at once, one gives way
      mine = undefined;
    }
    options.onWait?.();
    await sleep(options.pollMs ?? 500, undefined, options.signal ? { signal: options.signal } : {}).catch(
      async (error: unknown) => {
        await mine?.release();
        throw error;
      },
    );
  }
}

/** How much of a blob an earlier run left. */
export const partialSize = async (folder: string, oid: string): Promise<number> => (await partsOf(folder, oid))[0]?.size ?? 0;

interface Part {
  readonly name: string;
  readonly size: number;
  /** Whether a living process writes to it. */
  readonly busy: boolean;
}

/** Largest first. */
async function partsOf(folder: string, oid: string): Promise<Part[]> {
  const names = (await readdir(folder)).filter((name) => name.startsWith(`${oid}.`) && name.endsWith(END));
  const parts = await Promise.all(
    names.map(async (name): Promise<Part | undefined> => {
      const found = await stat(join(folder, name)).catch(() => undefined);
      if (found === undefined) return undefined;
      const fresh = Date.now() - found.mtimeMs < ABANDONED_MS;
      const busy = fresh && mayBeAtWork(name.slice(oid.length + 1, -END.length));
      return { name, size: found.size, busy };
    }),
  );
  return parts.filter((part) => part !== undefined).sort((a, b) => b.size - a.size);
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

async function claim(folder: string, oid: string, old: string | undefined): Promise<PartialFile | undefined> {
  const name = `${oid}.${holderName()}${END}`;
  const path = join(folder, name);
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
    name,
    finish: () => rename(path, join(folder, oid)),
    release: async () => {
      const { size } = await stat(path);
      await (size > 0 ? rename(path, join(folder, `${oid}${END}`)) : rm(path));
    },
    remove: () => rm(path, { force: true }),
  };
}
