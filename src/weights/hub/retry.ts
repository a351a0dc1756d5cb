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

/** A failed attempt, after which there will be another. */
export interface Retry {
  /** What failed, to follow a colon. */
  readonly problem: string;
  /** How long until the next attempt. */
  readonly waitSeconds: number;
}

export interface Retrying {
  readonly policy: RetryPolicy;
  readonly signal?: AbortSignal | undefined;
  readonly onRetry?: ((retry: Retry) => void) | undefined;
}

/**
 * Tries again after each {@link Transient} failure, which is told. Attempts are counted anew when `gained` has grown beyond
 * what any attempt before had reached, so that a bad line delays a long download and does not end it.
 * @param isFinal failures that no waiting mends
 */
export async function withRetries<T>(
  task: () => Promise<T>,
  { policy: { attempts, backoffMs }, signal, onRetry }: Retrying,
  { gained = () => 0, isFinal = () => false }: { gained?: () => number; isFinal?: (error: Transient) => boolean } = {},
): Promise<T> {
  let best = gained();
  for (let failures = 0; ; ) {
    try {
      return await task();
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof Transient) || isFinal(error)) throw error;
      failures = gained() > best ? 1 : failures + 1;
      best = Math.max(best, gained());
      if (failures >= attempts) throw error;
      const waitMs = Math.max(backoffMs * 2 ** (failures - 1), Math.min(error.waitMs, 120_000));
      onRetry?.({ problem: error.message, waitSeconds: waitMs / 1000 });
      await sleep(waitMs, undefined, signal ? { signal } : {});
    }
  }
}
