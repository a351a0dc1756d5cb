import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { BackendClasses, Job as BrokerJob, IQueueBackend, Queue, Worker } from "bullmq";
import type { Turn, Turns } from "./shelf.ts";

/** Turns that are to be closed with their shelf. */
export interface TurnsOf extends Turns {
  close(): Promise<void>;
}

/** How long is waited for the broker before a call is given up, since BullMQ itself waits until it is back. */
const ANSWER_MS = 3000;

/** What of a queue and of a worker of BullMQ is used, whatever they are kept in. */
interface Broker {
  readonly queue: Pick<Queue, "addBulk" | "getJobCounts" | "close">;
  readonly worker: Pick<Worker, "getNextJob" | "startStalledCheckTimer" | "close">;
}

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
  const brokers = new Map<string, Broker>();
  const brokerOf = (queue: string): Broker => {
    const known = brokers.get(queue);
    if (known) return known;
    const title = `${name}-${queue.replaceAll(/[^\w-]/g, (sign) => `.${sign.codePointAt(0)!.toString(16)}.`)}`; // BullMQ's own separator is ":"
    const turns = new classes.Queue(title, { connection });
    const timing = { lockDuration: leaseMs, stalledInterval: leaseMs, maxStalledCount: 1 };
    const worker = new classes.Worker(title, null, { connection, autorun: false, ...timing });
    turns.on("error", ignore); // each call says so itself
    worker.on("error", ignore);
    void worker.startStalledCheckTimer().catch(() => undefined);
    const made: Broker = { queue: turns as unknown as Broker["queue"], worker: worker as unknown as Broker["worker"] };
    brokers.set(queue, made);
    return made;
  };
  return {
    provide: (queue, tasks) =>
      inTime(told, async () => {
        const { queue: turns } = brokerOf(queue);
        const counts = await turns.getJobCounts("waiting");
        const missing = tasks - Object.values(counts).reduce((sum, count) => sum + count, 0);
        const turn = { name: "turn", data: {}, opts: { removeOnComplete: true, removeOnFail: true } };
        if (missing > 0) await turns.addBulk(Array.from({ length: missing }, () => turn));
      }),
    take: (queue) =>
      inTime(told, async () => {
        const token = randomUUID();
        const job = await brokerOf(queue).worker.getNextJob(token, { block: false });
        return job && turnOf(job as BrokerJob, token, leaseMs, told);
      }),
    async close() {
      const parts = [...brokers.values()].flatMap(({ queue, worker }) => [worker.close(true), queue.close()]);
      await Promise.race([Promise.allSettled(parts), sleep(ANSWER_MS)]);
    },
  };
}

function turnOf(job: BrokerJob, token: string, leaseMs: number, told: <T>(work: () => Promise<T>) => Promise<T>): Turn {
  return {
    // a lock that was lost is no reason to stop: who holds the task is decided by the shelf
    renew: () => inTime(told, () => job.extendLock(token, leaseMs).then(ignore, ignore)),
    end: () => inTime(told, () => job.moveToCompleted(true, token, false).then(ignore)),
  };
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
