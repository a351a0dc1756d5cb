import { z } from "zod";
import type { DueJob } from "./due-order.ts";
import { type JobRecord, type JobState, jobRecord, stateOf } from "./job.ts";
import type { JobEvent } from "./jobs.ts";
import type { ListName, ShelfReader, ShelfTransaction } from "./shelf.ts";

/** Written into every shelf; a program refuses one of a newer version. */
export const JOBS_VERSION = 1;
/** How often events that are too old are removed, in events. */
const TRIM_EVERY = 64;

/** The time of a transaction in milliseconds since 1970, and how many events are kept. */
interface WriterOptions {
  readonly now: number;
  readonly keptEvents: number;
}

const counters = z.object({ job: z.int(), event: z.int(), turn: z.int(), epoch: z.string(), version: z.int() });
export type Counters = z.infer<typeof counters>;

const dueJob = z.object({
  id: z.string(),
  owner: z.string(),
  queue: z.string(),
  priority: z.number(),
  place: z.number(),
  waiting: z.number(),
  passed: z.number(),
});
const keyRecord = z.object({ job: z.string(), body: z.string(), at: z.number() });
const pauseRecord = z.array(z.string());
const ownerRecord = z.object({ servedAt: z.int() });
const keptEvent = z.looseObject({ number: z.int(), id: z.string(), type: z.string() });

/** The text's record, or undefined for a text that is damaged. */
function parsed<T>(schema: z.ZodType<T>, text: string | undefined): T | undefined {
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** What is read of a shelf, as records. */
export class RecordReader {
  readonly #reader: ShelfReader;
  constructor(reader: ShelfReader) {
    this.#reader = reader;
  }

  /** A job; "damaged" where it is kept and cannot be read. */
  async job(id: string): Promise<JobRecord | "damaged" | undefined> {
    const text = await this.#reader.get("job", id);
    return text === undefined ? undefined : (parsed(jobRecord, text) ?? "damaged");
  }

  /** Jobs of a list; what is damaged is left out. */
  async jobs(list: ListName, range?: Parameters<ShelfReader["range"]>[1]): Promise<JobRecord[]> {
    const entries = await this.#reader.range(list, range);
    return entries.flatMap(({ text }) => parsed(jobRecord, text) ?? []);
  }

  async due(queue: string): Promise<DueJob[]> {
    const entries = await this.#reader.range(`due/queue/${queue}`);
    return entries.flatMap(({ text }) => parsed(dueJob, text) ?? []);
  }

  async anyDue(queues: readonly string[]): Promise<boolean> {
    for (const queue of queues) if ((await this.#reader.count(`due/queue/${queue}`)) > 0) return true;
    return false;
  }

  async allDue(): Promise<DueJob[]> {
    return (await this.#reader.range("due/all")).flatMap(({ text }) => parsed(dueJob, text) ?? []);
  }

  async servedAt(owners: Iterable<string>): Promise<Map<string, number>> {
    const served = new Map<string, number>();
    for (const owner of new Set(owners))
      served.set(owner, parsed(ownerRecord, await this.#reader.get("owner", owner))?.servedAt ?? 0);
    return served;
  }

  async paused(): Promise<string[]> {
    return parsed(pauseRecord, await this.#reader.get("meta", "paused")) ?? [];
  }

  async counters(): Promise<Counters | undefined> {
    return parsed(counters, await this.#reader.get("meta", "counters"));
  }

  async key(id: string): Promise<z.infer<typeof keyRecord> | undefined> {
    return parsed(keyRecord, await this.#reader.get("key", id));
  }

  /** How many jobs of an owner wait. */
  async waitingOf(owner: string): Promise<number> {
    return this.#reader.count(`job/owner/${owner}/waiting`);
  }

  /** How many jobs are in a state. */
  async countOf(state: JobState): Promise<number> {
    return this.#reader.count(`job/state/${state}`);
  }

  /** Events from a number on. */
  async events(from: number, limit: number): Promise<JobEvent[]> {
    const entries = await this.#reader.range("event/all", { from, limit });
    return entries.flatMap(({ text }) => (parsed(keptEvent, text) as JobEvent | undefined) ?? []);
  }

  /** Number of the oldest event that is kept. */
  async oldestEvent(): Promise<number | undefined> {
    const [entry] = await this.#reader.range("event/all", { limit: 1 });
    return parsed(keptEvent, entry?.text)?.number;
  }
}

type WithoutHead<E> = E extends unknown ? Omit<E, "number" | "id"> : never;

/** What is written to a shelf in one transaction. The lists in which a record stands follow from it. */
export class RecordWriter extends RecordReader {
  readonly #tx: ShelfTransaction;
  readonly #now: number;
  readonly #keptEvents: number;
  #counters: Counters;

  private constructor(tx: ShelfTransaction, { now, keptEvents }: WriterOptions, counts: Counters) {
    super(tx);
    [this.#tx, this.#now, this.#keptEvents, this.#counters] = [tx, now, keptEvents, counts];
  }

  /** Does work on a shelf that has its counters already. */
  static async over<T>(tx: ShelfTransaction, options: WriterOptions, work: (writer: RecordWriter) => Promise<T>): Promise<T> {
    const before = await new RecordReader(tx).counters();
    if (!before) throw new Error("the jobs' counters are gone");
    const writer = new RecordWriter(tx, options, before);
    const result = await work(writer);
    if (writer.#counters !== before) await tx.put("meta", "counters", JSON.stringify(writer.#counters));
    return result;
  }

  next(which: "job" | "event" | "turn"): number {
    const number = this.#counters[which] + 1;
    this.#counters = { ...this.#counters, [which]: number };
    return number;
  }

  /** Keeps a job, and tells what has changed since `before`. */
  async save(job: JobRecord, before?: JobRecord): Promise<JobRecord> {
    const record = { ...job, changedAt: this.#now };
    const [{ id, number, owner }, state] = [record, stateOf(record)];
    await this.#tx.put("job", id, JSON.stringify(record), {
      "job/all": number,
      [`job/state/${state}`]: number,
      [`job/owner/${owner}`]: number,
      [`job/owner/${owner}/${state}`]: number,
    });
    await this.#saveDue(record, before);
    for (const [task, { state: taskState }] of record.tasks.entries())
      if (before && before.tasks[task]?.state !== taskState)
        await this.tell({ type: "state", job: id, owner, state, task, taskState });
    if (!before || (before.tasks.every(({ state }, i) => state === record.tasks[i]!.state) && stateOf(before) !== state))
      await this.tell({ type: "state", job: id, owner, state });
    return record;
  }

  async #saveDue(job: JobRecord, before?: JobRecord): Promise<void> {
    const [due, was] = [dueOf(job), before && dueOf(before)];
    if (before && JSON.stringify(due) === JSON.stringify(was)) return;
    if (due)
      await this.#tx.put("due", job.id, JSON.stringify(due), { "due/all": job.number, [`due/queue/${job.queue}`]: job.number });
    else if (was) await this.#tx.remove("due", job.id);
  }

  /** Takes a job out of the queue that cannot be read: it is forgotten, and those who listen are told. */
  async dropDamaged(id: string, owner: string): Promise<void> {
    await this.#tx.remove("due", id);
    await this.#tx.remove("job", id);
    await this.tell({ type: "notice", job: id, owner, code: "job/damaged", message: "The job cannot be read, and was removed." });
    await this.tell({ type: "removed", job: id, owner });
  }

  async forget(job: JobRecord): Promise<void> {
    await this.#tx.remove("due", job.id);
    await this.#tx.remove("job", job.id);
    await this.tell({ type: "removed", job: job.id, owner: job.owner });
  }

  async serve(owner: string): Promise<void> {
    await this.#tx.put("owner", owner, JSON.stringify({ servedAt: this.next("turn") }));
  }

  async keepKey(id: string, job: string, body: string): Promise<void> {
    await this.#tx.put("key", id, JSON.stringify({ job, body, at: this.#now }), { "key/all": this.#now });
  }

  /** Forgets the keys of before a time, some at once. */
  async forgetKeys(before: number): Promise<void> {
    for (const { id } of await this.#tx.range("key/all", { to: before, limit: 20 })) await this.#tx.remove("key", id);
  }

  async setPaused(queues: readonly string[]): Promise<void> {
    await this.#tx.put("meta", "paused", JSON.stringify(queues));
    await this.tell({ type: "queue", paused: queues });
  }

  async tell(event: WithoutHead<JobEvent>): Promise<void> {
    const number = this.next("event");
    const told = { number, id: `${this.#counters.epoch}.${number}`, ...event };
    if (number % Math.min(TRIM_EVERY, this.#keptEvents) === 0)
      for (const { id } of await this.#tx.range("event/all", { to: number - this.#keptEvents, limit: 2 * TRIM_EVERY }))
        await this.#tx.remove("event", id);
    await this.#tx.put("event", String(number), JSON.stringify(told), { "event/all": number });
  }
}

/** The short form of a job while it has tasks to be done. */
function dueOf({ id, owner, queue, priority, place, passed, tasks }: JobRecord): DueJob | undefined {
  const waiting = tasks.filter(({ state }) => state === "waiting").length;
  return waiting === 0 ? undefined : { id, owner, queue, priority, place, waiting, passed };
}
