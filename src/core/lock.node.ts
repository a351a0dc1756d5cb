import { open, readdir, rm, stat, utimes } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { asDiskError } from "./atomic-file.node.ts";
import { holderName, mayBeAtWork } from "./holder.node.ts";

const END = ".lock";
/** A claim that was not renewed for this long is given up: of another machine, or of a process whose number another one has by now. */
const ABANDONED_MS = 600_000;
const RENEW_MS = 60_000;

export interface LockOptions {
  /** Ends the waiting at once. */
  readonly signal?: AbortSignal | undefined;
  /** Called once, when another holds it. */
  readonly onWait?: (() => void) | undefined;
  readonly pollMs?: number;
}

/**
 * Does work that only one process on this folder may do at a time. A claim is a file whose name says who made it, so that what a process
 * left that was killed holds nobody up, and no claim has to be broken.
 * @param path of what is worked on; claims lie beside it
 * @throws what the signal was aborted with; UserError disk/full, disk/denied and others of asDiskError where no claim can be written
 */
export async function withLock<T>(path: string, options: LockOptions, work: () => Promise<T>): Promise<T> {
  const claim = await claimed(path, options);
  const renewing = setInterval(() => void renew(claim), RENEW_MS);
  renewing.unref();
  try {
    return await work();
  } finally {
    clearInterval(renewing);
    await rm(claim, { force: true }).catch(() => undefined);
  }
}

async function claimed(path: string, { signal, onWait, pollMs = 250 }: LockOptions): Promise<string> {
  let [mine, told]: [string | undefined, boolean] = [undefined, false];
  try {
    for (;;) {
      signal?.throwIfAborted();
      const others = (await claimsOn(path)).filter((claim) => claim !== mine);
      if (others.length === 0) {
        if (mine !== undefined) return mine; // seen alone after it had its name: whoever comes later sees it
        mine = await claim(path);
        continue;
      }
      if (mine !== undefined && others.some((other) => other < mine!)) {
        await rm(mine, { force: true }); // of two that began at once, one gives way
        mine = undefined;
      }
      if (!told) onWait?.();
      told = true;
      await sleep(pollMs, undefined, signal && { signal }).catch(() => signal?.throwIfAborted());
    }
  } catch (error) {
    if (mine !== undefined) await rm(mine, { force: true }).catch(() => undefined);
    throw asDiskError(error, path);
  }
}

async function claim(path: string): Promise<string> {
  const made = `${path}.${holderName()}${END}`;
  await (await open(made, "wx")).close();
  return made;
}

/** Claims of processes that are alive; those of others are removed. */
async function claimsOn(path: string): Promise<string[]> {
  const [folder, start] = [dirname(path), `${basename(path)}.`];
  const names = (await readdir(folder)).filter((name) => name.startsWith(start) && name.endsWith(END));
  const claims: string[] = [];
  for (const name of names) {
    const claim = join(folder, name);
    if (await isHeld(claim, name.slice(start.length, -END.length))) claims.push(claim);
    else await rm(claim, { force: true }).catch(() => undefined);
  }
  return claims;
}

async function isHeld(claim: string, holder: string): Promise<boolean> {
  if (!mayBeAtWork(holder)) return false;
  const found = await stat(claim).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs < ABANDONED_MS;
}

const renew = (claim: string): Promise<void> => utimes(claim, new Date(), new Date()).catch(() => undefined);
