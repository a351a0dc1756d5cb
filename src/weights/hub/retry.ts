import { setTimeout as sleep } from "node:timers/promises";

export interface RetryPolicy {
  /** How often in all, while nothing is gained. */
  readonly attempts: number;
  /** Before the second attempt; doubled each time. */
  readonly backoffMs: number;
  /** How long a connection may be silent. */
  readonly idleMs: number;
}

export const PATIENT: RetryPolicy = { attempts: 6, backoffMs: 500, idleMs: 30_000 };

/** A failure that may pass: a cut connection, a server in trouble. */
export class Transient extends Error {
  /** What the server asks for. */
  readonly waitMs: number;

  constructor(message: string, options: { readonly cause?: unknown; readonly waitMs?: number } = {}) {
    super(message, { cause: options.cause });
    this.waitMs = options.waitMs ?? 0;
  }
}

/**
 * Tries again after each {@link Transient} failure. Attempts are counted anew when `gained` has grown beyond what any
 * attempt before had reached, so that a bad line delays a long download and does not end it.
 */
export async function withRetries<T>(
  task: () => Promise<T>,
  { attempts, backoffMs }: RetryPolicy,
  signal: AbortSignal | undefined,
  gained: () => number = () => 0,
): Promise<T> {
  let best = gained();
  for (let failures = 0; ; ) {
    try {
      return await task();
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof Transient)) throw error;
      failures = gained() > best ? 1 : failures + 1;
      best = Math.max(best, gained());
      if (failures >= attempts) throw error;
      const waitMs = Math.max(backoffMs * 2 ** (failures - 1), Math.min(error.waitMs, 120_000));
      await sleep(waitMs, undefined, signal ? { signal } : {});
    }
  }
}
