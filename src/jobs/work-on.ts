import { messageOf, UserError } from "../core/errors.ts";
import type { TaskFailure } from "./job.ts";
import type { Claim, Jobs } from "./jobs.ts";
import type { Standing } from "./machine.ts";

/** What a task's work is given. */
export interface TaskWork {
  /** Aborted when the task was cancelled or another worker has it. */
  readonly signal: AbortSignal;
  /** Tells how far it is; of what comes faster than twice a second the newest is told. */
  readonly progress: (progress: unknown) => void;
}

/** How a task ended for this worker. `lost`: another one has it. */
export type WorkEnd = "done" | "failed" | "given-back" | Exclude<Standing, "held">;

export interface WorkOptions {
  /** Of the queue; the lease is renewed three times as often. */
  readonly leaseMs?: number;
  readonly progressMs?: number;
  /** Asks the worker to stop: the work is aborted, and the task is given back. */
  readonly stop?: AbortSignal;
  /** What a thrown error means; by default a `UserError` would come again, and anything else may not. */
  readonly failureOf?: (error: unknown) => TaskFailure & { readonly again?: boolean };
}

const AGAIN_MS = 500;

/**
 * Works on a claimed task: renews its lease, tells its progress, and says how it ended. While the queue cannot be reached the work goes on, and its
 * end is told when it can.
 */
export async function workOn(
  jobs: Pick<Jobs, "renew" | "progress" | "finish" | "fail" | "release">,
  claim: Claim,
  work: (task: TaskWork) => Promise<unknown>,
  { leaseMs = 30_000, progressMs = 500, stop, failureOf = failureByKind }: WorkOptions = {},
): Promise<WorkEnd> {
  const ending = new AbortController();
  let stands: Standing = "held";
  let newest: { progress: unknown } | undefined;
  let telling = false;

  /** A sign of life, with the newest progress if there is one. One at a time: a slow queue gets no more of them. */
  const sign = async (): Promise<void> => {
    if (telling || stands !== "held") return;
    telling = true;
    const now = newest;
    newest = undefined;
    try {
      stands = await (now ? jobs.progress(claim, now.progress) : jobs.renew(claim));
      if (stands !== "held") ending.abort(new Error(`the task is ${stands}`));
    } catch (error) {
      if (!isAway(error)) throw error;
      newest ??= now;
    } finally {
      telling = false;
    }
  };
  const quietly = (): void => void sign().catch((error: unknown) => ending.abort(error));
  const renewing = setInterval(quietly, leaseMs / 3);
  const showing = setInterval(() => newest && quietly(), progressMs);
  const stopped = (): void => ending.abort(stop!.reason);
  stop?.addEventListener("abort", stopped);
  if (stop?.aborted) stopped();
  const end = async (): Promise<WorkEnd> => {
    let result: unknown;
    try {
      ending.signal.throwIfAborted();
      result = await work({ signal: ending.signal, progress: (progress) => (newest = { progress }) });
    } catch (error) {
      if (stands !== "held") return stands;
      if (stop?.aborted) return (await insist(() => jobs.release(claim))) ? "given-back" : "lost";
      const { again = true, ...failure } = failureOf(error);
      return (await insist(() => jobs.fail(claim, failure, { again }))) ? "failed" : lostOr(stands);
    }
    return (await insist(() => jobs.finish(claim, result))) ? "done" : lostOr(stands);
  };
  try {
    return await end();
  } finally {
    clearInterval(renewing);
    clearInterval(showing);
    stop?.removeEventListener("abort", stopped);
  }
}

const lostOr = (stands: Standing): Exclude<Standing, "held"> => (stands === "held" ? "lost" : stands);

const isAway = (error: unknown): boolean =>
  error instanceof UserError && (error.code === "jobs/unreachable" || error.code === "database/busy");

/** Calls again while the queue cannot be reached. */
async function insist<T>(call: () => Promise<T>): Promise<T> {
  for (;;)
    try {
      return await call();
    } catch (error) {
      if (!isAway(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
}

/** A mistake of the request fails at once; what is thrown besides may have been bad luck. */
function failureByKind(error: unknown): TaskFailure & { again: boolean } {
  const isMistake = error instanceof UserError;
  return { code: isMistake ? error.code : "job/broke", message: messageOf(error), again: !isMistake };
}
