import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { BackendClasses, Job as BrokerJob, IQueueBackend, Queue, Worker } from "bullmq";
import type { BrokerTurn, Turns } from "./shelf.ts";

/** Turns that are to be closed with their shelf. */
export interface TurnsOf extends Turns {
  close(): Promise<void>;
}

/** How long is waited for the broker before a call is given up, since BullMQ itself waits until it is back. */
const ANSWER_MS = 3000;

/** What of BullMQ's queues and workers is used, whatever they are kept in. */
type TurnQueue = Pick<Queue, "addBulk" | "getJobCounts" | "close">;
type TurnWorker = Pick<Worker, "getNextJob" | "close">;

/**
 * Turns of BullMQ: a job of it is the right to take one task of a queue. BullMQ locks the turn while its task runs, puts it back when the worker
 * is gone, and shows the queues and what is in them to the tools that know BullMQ. Which task a turn is for is decided over the shelf, since
 * BullMQ has no owners who are served in turn and no worker that prefers what it has loaded.
 */
export function bullmqTurns<B extends IQueueBackend, C>({
  name,
  leaseMs,
  told,
  classes,
  connection,
}: {
  readonly name: string;
  readonly leaseMs: number;
  readonly told: <T>(work: () => Promise<T>) => Promise<T>;
  readonly classes: BackendClasses<B, C>;
  readonly connection: C;
}): TurnsOf {
  const queues = new Map<string, TurnQueue>();
  const workers = new Map<string, TurnWorker>();
  /** BullMQ's own separator is ":". */
  const titleOf = (queue: string): string =>
    `${name}-${queue.replaceAll(/[^\w-]/g, (sign) => `.${sign.codePointAt(0)!.toString(16)}.`)}`;
  const queueOf = (queue: string): TurnQueue =>
    once(queues, queue, () => {
      const made = new classes.Queue(titleOf(queue), { connection });
      made.on("error", ignore); // each call says so itself
      return made as unknown as TurnQueue;
    });
  // a worker has connections of its own, so only who takes turns of a queue makes one
  const workerOf = (queue: string): TurnWorker =>
    once(workers, queue, () => {
      const timing = { lockDuration: leaseMs, stalledInterval: leaseMs, maxStalledCount: 1 };
      const made = new classes.Worker(titleOf(queue), null, { connection, autorun: false, ...timing });
      made.on("error", ignore);
      void made.startStalledCheckTimer().catch(ignore);
      return made as unknown as TurnWorker;
    });
  return {
    provide: (queue, tasks) =>
      inTime(told, async () => {
        const turns = queueOf(queue);
        const counts = await turns.getJobCounts("waiting");
        const missing = tasks - Object.values(counts).reduce((sum, count) => sum + count, 0);
        const turn = { name: "turn", data: {}, opts: { removeOnComplete: true, removeOnFail: true } };
        if (missing > 0) await turns.addBulk(Array.from({ length: missing }, () => turn));
      }),
    take: (queue) =>
      inTime(told, async () => {
        const token = randomUUID();
        const job = await workerOf(queue).getNextJob(token, { block: false });
        return job && turnOf(job as BrokerJob, token, leaseMs, told);
      }),
    async close() {
      const parts = [
        ...[...workers.values()].map((worker) => worker.close(true)),
        ...[...queues.values()].map((queue) => queue.close()),
      ];
      await Promise.race([Promise.allSettled(parts), sleep(ANSWER_MS)]);
    },
  };
}

function turnOf(job: BrokerJob, token: string, leaseMs: number, told: <T>(work: () => Promise<T>) => Promise<T>): BrokerTurn {
  return {
    // a lock that was lost is no reason to stop: who holds the task is decided by the shelf
    renew: () => inTime(told, () => job.extendLock(token, leaseMs).then(ignore, ignore)),
    end: () => inTime(told, () => job.moveToCompleted(true, token, false).then(ignore)),
  };
}

function once<T>(made: Map<string, T>, name: string, make: () => T): T {
  const known = made.get(name) ?? make();
  made.set(name, known);
  return known;
}

const ignore = (): void => undefined;

async function inTime<T>(told: <U>(work: () => Promise<U>) => Promise<U>, work: () => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const late = sleep(ANSWER_MS, undefined, { signal: stop.signal, ref: false }).then(() => {
    throw new Error("no answer");
  });
  late.catch(() => undefined);
  try {
    return await told(() => Promise.race([work(), late]));
  } finally {
    stop.abort();
  }
}
