import { createHash, randomBytes } from "node:crypto";
import type { z } from "zod";
import { messageOf, UserError } from "../core/errors.ts";
import { chooseDue, type DueJob, dueOrder } from "./due-order.ts";
import { type EventPump, eventPump } from "./event-pump.ts";
import {
  isSettled,
  JOB_STATES,
  type Job,
  type JobRecord,
  type JobState,
  jobView,
  PRIORITIES,
  stateOf,
  type TaskFailure,
} from "./job.ts";
import type { Claim, Claimer, JobFilter, Jobs, NewJob } from "./jobs.ts";
import { LeaseWatch, type MonotonicClock } from "./lease-watch.ts";
import {
  cancelTasks,
  claimTask,
  failTask,
  finishTask,
  type Lease,
  loseTask,
  nextTask,
  releaseTask,
  renewTask,
  retryTasks,
  type Standing,
  setAside,
  standing,
} from "./machine.ts";
import { JOBS_VERSION, RecordReader, RecordWriter } from "./records.ts";
import type { BrokerTurn, Shelf } from "./shelf.ts";
import { THIS_WORKER } from "./worker-name.node.ts";

/** What an owner may have. */
export interface JobLimits {
  /** Jobs that wait, of one owner; 50 by default. */
  readonly waitingJobs: number;
  /** Tasks of one job; 64 by default. */
  readonly tasks: number;
}

/** How a queue behaves. Whoever shares one gives the same. */
export interface JobsOptions {
  /** The schema of each kind's payload: checked when a job is added, and again when it is claimed. */
  readonly kinds: Readonly<Record<string, z.ZodType>>;
  /** A lease ends when its holder was silent for this long; 30 s by default. Holders renew three times as often. */
  readonly leaseMs?: number;
  /** Attempts at a task; 3 by default. */
  readonly attempts?: number;
  /** Lost workers after which a job is set aside; 2 by default. */
  readonly losses?: number;
  readonly limits?: Partial<JobLimits>;
  /** Events that are kept for those who come back; 4,096 by default. */
  readonly keptEvents?: number;
  /** Name under which tasks are held; by default it tells the process, so that a dead one of this machine is known at once. */
  readonly worker?: string;
  /** How often is looked for what other processes did, in milliseconds; 200 by default. */
  readonly pollMs?: number;
  /** Wall clock, milliseconds since 1970. */
  readonly now?: () => number;
  readonly monotonic?: MonotonicClock;
}

const DAY_MS = 86_400_000;
const ALL_QUEUES = "*";

/**
 * The queue over a shelf.
 * @throws UserError jobs/newer-version where a newer program has written to it
 */
export async function createJobs(shelf: Shelf, options: JobsOptions): Promise<Jobs> {
  await shelf.transact(async (tx) => {
    const counters = await new RecordReader(tx).counters();
    if (counters && counters.version > JOBS_VERSION)
      throw new UserError(
        "jobs/newer-version",
        `The queue was written by a newer version of this program (${counters.version}, and this one knows ${JOBS_VERSION}).`,
        "Update this program, or choose another data folder or queue.",
      );
    const first = { job: 0, event: 0, turn: 0, epoch: randomBytes(6).toString("hex"), version: JOBS_VERSION };
    if (!counters) await tx.put("meta", "counters", JSON.stringify(first));
  });
  return new ShelvedJobs(shelf, options);
}

class ShelvedJobs implements Jobs {
  readonly #shelf: Shelf;
  readonly #options: JobsOptions;
  readonly #limits: JobLimits;
  readonly #pollMs: number;
  readonly #patience: { attempts: number; losses: number };
  readonly #worker: string;
  readonly #now: () => number;
  readonly #watch: LeaseWatch;
  readonly #pump: EventPump;
  readonly #sweeping: NodeJS.Timeout;
  readonly #turns = new Map<string, BrokerTurn>();
  readonly #closed = new AbortController();
  #sweep: Promise<unknown> = Promise.resolve();

  constructor(shelf: Shelf, options: JobsOptions) {
    const { leaseMs = 30_000, pollMs = 200, attempts = 3, losses = 2, now = Date.now } = options;
    const { worker = THIS_WORKER, monotonic = () => performance.now() } = options;
    [this.#shelf, this.#options, this.#pollMs, this.#now, this.#worker] = [shelf, options, pollMs, now, worker];
    this.#patience = { attempts, losses };
    this.#limits = { waitingJobs: 50, tasks: 64, ...options.limits };
    this.#watch = new LeaseWatch(leaseMs, monotonic);
    this.#pump = eventPump((work) => shelf.read((reader) => work(new RecordReader(reader))), pollMs);
    this.#sweeping = setInterval(() => this.#sweepSoon(), Math.max(20, leaseMs / 3));
    this.#sweeping.unref();
    this.#sweepSoon();
  }

  async add(wanted: NewJob): Promise<{ job: Job; isNew: boolean }> {
    const payload = this.#checkedPayload(wanted);
    const count = wanted.tasks ?? 1;
    if (!Number.isInteger(count) || count < 1 || count > this.#limits.tasks)
      throw new UserError(
        "job/tasks",
        `A job has 1 to ${this.#limits.tasks} tasks, not ${count}.`,
        "Split it into several jobs.",
      );
    const { owner, queue, kind, seed, priority = PRIORITIES.api, idempotencyKey } = wanted;
    const body = digest({ queue, kind, payload, seed, priority, count });
    const added = await this.#write(async (writer) => {
      const key = idempotencyKey === undefined ? undefined : digest([owner, idempotencyKey]);
      const same = key === undefined ? undefined : await this.#sameKey(writer, key, body);
      if (same) return { job: same, isNew: false };
      await this.#checkRoom(writer, owner);
      await writer.forgetKeys(this.#now() - DAY_MS);
      const number = writer.next("job");
      const id = randomBytes(16).toString("hex");
      if (key !== undefined) await writer.keepKey(key, id, body);
      const task = { state: "waiting", attempt: 0, failures: 0, renewals: 0 } as const;
      const counts = {
        number,
        place: number,
        passed: 0,
        cancelled: false,
        lostWorkers: [],
        createdAt: this.#now(),
        changedAt: 0,
      };
      const record = { id, owner, queue, kind, payload, priority, ...counts, tasks: Array.from({ length: count }, () => task) };
      return { job: await writer.save(seed === undefined ? record : { ...record, seed }), isNew: true };
    });
    await this.#provideTurns([queue]);
    return { ...added, job: jobView(added.job) };
  }

  /** @throws UserError job/kind-unknown, job/payload */
  #checkedPayload({ kind, payload }: NewJob): unknown {
    const schema = Object.hasOwn(this.#options.kinds, kind) ? this.#options.kinds[kind] : undefined;
    if (!schema)
      throw new UserError(
        "job/kind-unknown",
        `There are no jobs of the kind "${kind}".`,
        `The kinds are: ${Object.keys(this.#options.kinds).join(", ")}.`,
      );
    const read = schema.safeParse(payload);
    if (!read.success) {
      const [issue] = read.error.issues;
      const at = issue?.path.length ? ` (at ${issue.path.join(".")})` : "";
      throw new UserError("job/payload", `What the job asks for is not understood: ${issue?.message}${at}.`, "Correct it.");
    }
    return payload;
  }

  /** @throws UserError job/key-reused */
  async #sameKey(writer: RecordWriter, key: string, body: string): Promise<JobRecord | undefined> {
    const known = await writer.key(key);
    if (!known || this.#now() - known.at > DAY_MS) return undefined;
    if (known.body !== body)
      throw new UserError(
        "job/key-reused",
        "The idempotency key was used for another job within 24 hours.",
        "Give each new job a new key, and the same key only when the same job is sent again.",
      );
    const job = await writer.job(known.job);
    return job === "damaged" ? undefined : job;
  }

  /** @throws UserError job/too-many-waiting */
  async #checkRoom(writer: RecordWriter, owner: string): Promise<void> {
    const { waitingJobs } = this.#limits;
    if ((await writer.waitingOf(owner)) < waitingJobs) return;
    throw new UserError(
      "job/too-many-waiting",
      `${waitingJobs} jobs wait already, which is the most that one owner may have.`,
      "Wait until some are done, or cancel some.",
    );
  }

  async claim(
    claimer: Claimer,
    { waitMs = 0, signal }: { waitMs?: number; signal?: AbortSignal } = {},
  ): Promise<Claim | undefined> {
    const ends = AbortSignal.any([this.#closed.signal, ...(signal ? [signal] : [])]);
    const until = performance.now() + waitMs;
    for (;;) {
      if (ends.aborted) return undefined;
      const claim = await this.#claimNow(claimer);
      const left = until - performance.now();
      if (claim || left <= 0) return claim;
      await this.#pump.changed(Math.min(left, this.#pollMs), ends);
    }
  }

  async #claimNow(claimer: Claimer): Promise<Claim | undefined> {
    const { turns } = this.#shelf;
    if (!turns) {
      if (!(await this.#read((reader) => reader.anyDue(claimer.queues)))) return undefined; // and nobody is kept from writing
      const claim = await this.#claimFrom(claimer);
      return claim === "elsewhere" ? undefined : claim;
    }
    for (;;) {
      const { chosen } = await this.#read((reader) => this.#choose(reader, claimer));
      if (!chosen) return undefined;
      // the turn is taken for the queue that comes next; which of its tasks that is, is decided again while nobody else decides
      const turn = await turns.take(chosen.queue);
      if (!turn) {
        await this.#provideTurns([chosen.queue]); // one may be missing after a crash
        return undefined;
      }
      let claim: Claim | "elsewhere" | undefined;
      try {
        claim = await this.#claimFrom(claimer, chosen.queue);
      } finally {
        if (typeof claim === "object") this.#turns.set(claim.token, turn);
        else await turn.end().catch(() => undefined);
      }
      if (claim !== "elsewhere") return claim;
      await this.#provideTurns([chosen.queue]); // its turn was used up for nothing
    }
  }

  async #choose(reader: RecordReader, { queues, loaded = [] }: Claimer): Promise<ReturnType<typeof chooseDue>> {
    const paused = await reader.paused();
    if (paused.includes(ALL_QUEUES)) return {};
    const due: DueJob[] = [];
    for (const queue of new Set(queues)) if (!paused.includes(queue)) due.push(...(await reader.due(queue)));
    const order = dueOrder(due, await reader.servedAt(due.map(({ owner }) => owner)));
    return chooseDue(order, new Set(loaded));
  }

  /**
   * Takes the next task that can be read. Those that cannot are set aside one by one, each in a transaction of its own.
   * @param queue the one from which it must be; the next of another is left
   */
  async #claimFrom(claimer: Claimer, queue?: string): Promise<Claim | "elsewhere" | undefined> {
    for (;;) {
      const claimed = await this.#write(async (writer) => {
        const { chosen, passedOver } = await this.#choose(writer, claimer);
        if (!chosen) return "none";
        if (queue !== undefined && chosen.queue !== queue) return "elsewhere";
        const job = await writer.job(chosen.id);
        if (job === undefined || job === "damaged") {
          await writer.dropDamaged(chosen.id, chosen.owner);
          return "again";
        }
        const payload = this.#options.kinds[job.kind]?.safeParse(job.payload);
        if (!payload?.success) {
          const message = `What the job asks for cannot be read: ${payload?.error.issues[0]?.message ?? `no kind "${job.kind}"`}.`;
          await this.#setAside(writer, job, { code: "job/damaged", message });
          return "again";
        }
        if (passedOver) await this.#passOver(writer, passedOver);
        return this.#take(writer, job, payload.data);
      });
      if (claimed === "none") return undefined;
      if (claimed !== "again") return claimed;
    }
  }

  async #take(writer: RecordWriter, job: JobRecord, payload: unknown): Promise<Claim | "again"> {
    const task = nextTask(job);
    const token = randomBytes(16).toString("hex");
    const taken = claimTask(job, task, token, this.#worker);
    if (!taken) {
      await writer.dropDamaged(job.id, job.owner); // its short form says that a task waits, and none does
      return "again";
    }
    await writer.save(taken, job);
    await writer.serve(job.owner);
    const { id, owner, queue, kind, seed } = job;
    const claim = { job: id, task, attempt: taken.tasks[task]!.attempt, token, owner, queue, kind, payload };
    return seed === undefined ? claim : { ...claim, seed: seed + task };
  }

  async #passOver(writer: RecordWriter, { id }: DueJob): Promise<void> {
    const job = await writer.job(id);
    if (job && job !== "damaged") await writer.save({ ...job, passed: job.passed + 1 }, job);
  }

  async #setAside(writer: RecordWriter, job: JobRecord, error: TaskFailure): Promise<void> {
    await writer.save(setAside(job, error), job);
    await writer.tell({ type: "notice", job: job.id, owner: job.owner, ...error });
  }

  async renew(lease: Lease): Promise<Standing> {
    return this.#sign(lease, undefined);
  }

  async progress(lease: Lease, progress: unknown): Promise<Standing> {
    return this.#sign(lease, progress);
  }

  async #sign(lease: Lease, progress: unknown): Promise<Standing> {
    const stands = await this.#write(async (writer) => {
      const job = await writer.job(lease.job);
      if (!job || job === "damaged") return "lost";
      const next = renewTask(job, lease, progress);
      if (next) await writer.save(next, job);
      if (next && progress !== undefined)
        await writer.tell({ type: "progress", job: job.id, owner: job.owner, task: lease.task, progress });
      return standing(job, lease);
    });
    if (stands === "held") await this.#turns.get(lease.token)?.renew();
    else await this.#endTurn(lease);
    return stands;
  }

  finish(lease: Lease, result: unknown): Promise<boolean> {
    return this.#settle(lease, (job) => finishTask(job, lease, result));
  }

  fail(lease: Lease, error: TaskFailure, { again = true }: { again?: boolean } = {}): Promise<boolean> {
    return this.#settle(lease, (job) => failTask(job, lease, error, this.#patience, again));
  }

  release(lease: Lease): Promise<boolean> {
    return this.#settle(lease, (job) => releaseTask(job, lease));
  }

  async #settle(lease: Lease, change: (job: JobRecord) => JobRecord | undefined): Promise<boolean> {
    const saved = await this.#write(async (writer) => {
      const job = await writer.job(lease.job);
      const next = job && job !== "damaged" ? change(job) : undefined;
      return next && writer.save(next, job as JobRecord);
    });
    await this.#endTurn(lease);
    if (saved && nextTask(saved) >= 0) await this.#provideTurns([saved.queue]);
    return saved !== undefined;
  }

  /** A turn that cannot be ended now comes back when its lock is over, finds no task and ends. */
  async #endTurn({ token }: Lease): Promise<void> {
    const turn = this.#turns.get(token);
    this.#turns.delete(token);
    await turn?.end().catch(() => undefined);
  }

  cancel(id: string, task?: number): Promise<Job> {
    return this.#change(id, async (job) => cancelTasks(job, task) ?? job);
  }

  async retry(id: string): Promise<Job> {
    return this.#change(id, async (job, writer) => {
      const next = retryTasks(job);
      if (!next)
        throw new UserError(
          "job/not-to-retry",
          `The job is ${stateOf(job)}: nothing of it failed or was cancelled.`,
          "Add it once more to get other results.",
        );
      await this.#checkRoom(writer, job.owner);
      return next;
    });
  }

  move(id: string, to: { readonly priority: number } | { readonly before: string }): Promise<Job> {
    return this.#change(id, async (job, writer) => {
      const refuse = (why: string): UserError => new UserError("job/not-to-move", why, "Only jobs that wait can be moved.");
      if (nextTask(job) < 0) throw refuse(`The job is ${stateOf(job)}.`);
      if ("priority" in to) {
        if (!Number.isInteger(to.priority)) throw refuse("A priority is a whole number.");
        await writer.tell({ type: "moved", job: id, owner: job.owner });
        return { ...job, priority: to.priority };
      }
      const target = await this.#found(writer, to.before);
      if (target.owner !== job.owner || target.id === id || nextTask(target) < 0)
        throw refuse("The job before which it is to stand does not wait, or is another's.");
      await writer.tell({ type: "moved", job: id, owner: job.owner });
      return this.#insertBefore(writer, job, target);
    });
  }

  /** The places of the owner's jobs stay what they are, and change hands. */
  async #insertBefore(writer: RecordWriter, job: JobRecord, target: JobRecord): Promise<JobRecord> {
    const siblings = (await writer.allDue()).filter((due) => due.owner === job.owner && due.priority === target.priority);
    const order = siblings.filter(({ id }) => id !== job.id).sort((a, b) => a.place - b.place);
    const places = [...order.map(({ place }) => place), job.place].sort((a, b) => a - b);
    const ids = order.map(({ id }) => id);
    ids.splice(ids.indexOf(target.id), 0, job.id);
    for (const [i, id] of ids.entries()) {
      if (id === job.id || order.find((due) => due.id === id)?.place === places[i]) continue;
      const other = await writer.job(id);
      if (other && other !== "damaged") await writer.save({ ...other, place: places[i]! }, other);
    }
    return { ...job, priority: target.priority, place: places[ids.indexOf(job.id)]! };
  }

  async #change(id: string, change: (job: JobRecord, writer: RecordWriter) => Promise<JobRecord>): Promise<Job> {
    const changed = await this.#write(async (writer) => {
      const job = await this.#found(writer, id);
      const next = await change(job, writer);
      return next === job ? job : writer.save(next, job);
    });
    if (nextTask(changed) >= 0) await this.#provideTurns([changed.queue]);
    return jobView(changed);
  }

  /** @throws UserError job/not-found */
  async #found(reader: RecordReader, id: string): Promise<JobRecord> {
    const job = await reader.job(id);
    if (!job || job === "damaged") throw new UserError("job/not-found", `There is no job ${id}.`, "It may have been removed.");
    return job;
  }

  async remove(id: string): Promise<void> {
    await this.#write(async (writer) => {
      const job = await this.#found(writer, id);
      if (!isSettled(stateOf(job)))
        throw new UserError("job/not-ended", `The job is ${stateOf(job)}.`, "Cancel it first, or wait until it is done.");
      await writer.forget(job);
    });
  }

  async pause(queue: string = ALL_QUEUES): Promise<void> {
    await this.#write(async (writer) => {
      const paused = await writer.paused();
      if (!paused.includes(queue)) await writer.setPaused([...paused, queue].sort());
    });
  }

  async resume(queue: string = ALL_QUEUES): Promise<void> {
    await this.#write(async (writer) => {
      const paused = await writer.paused();
      const rest = queue === ALL_QUEUES ? [] : paused.filter((name) => name !== queue);
      if (rest.length !== paused.length) await writer.setPaused(rest);
    });
  }

  paused(): Promise<readonly string[]> {
    return this.#read((reader) => reader.paused());
  }

  async get(id: string): Promise<Job | undefined> {
    const job = await this.#read((reader) => reader.job(id));
    return job && job !== "damaged" ? jobView(job) : undefined;
  }

  async list({ owner, state, after, limit = 50 }: JobFilter = {}): Promise<{ jobs: readonly Job[]; next?: number }> {
    const most = Math.min(200, Math.max(1, Math.trunc(limit)));
    const [byOwner, byState] = [`job/owner/${owner}`, `job/state/${state}`] as const;
    const list =
      owner === undefined
        ? state === undefined
          ? "job/all"
          : byState
        : state === undefined
          ? byOwner
          : (`${byOwner}/${state}` as const);
    const range = { descending: true, limit: most + 1, ...(after === undefined ? {} : { to: after - 1 }) };
    const found = await this.#read((reader) => reader.jobs(list, range));
    const jobs = found.slice(0, most).map(jobView);
    return found.length > most ? { jobs, next: jobs.at(-1)!.number } : { jobs };
  }

  counts(): Promise<Record<JobState, number>> {
    return this.#read(async (reader) => {
      const counts: Partial<Record<JobState, number>> = {};
      for (const state of JOB_STATES) counts[state] = await reader.countOf(state);
      return counts as Record<JobState, number>;
    });
  }

  order(): Promise<readonly string[]> {
    return this.#read(async (reader) => {
      const due = await reader.allDue();
      return dueOrder(due, await reader.servedAt(due.map(({ owner }) => owner))).map(({ id }) => id);
    });
  }

  subscribe: Jobs["subscribe"] = (subscription, listener) => this.#pump.subscribe(subscription, listener);

  async close(): Promise<void> {
    this.#closed.abort();
    clearInterval(this.#sweeping);
    await this.#pump.close();
    await this.#sweep;
    await this.#shelf.close();
  }

  #read<T>(work: (reader: RecordReader) => Promise<T>): Promise<T> {
    return this.#shelf.read((reader) => work(new RecordReader(reader)));
  }

  async #write<T>(work: (writer: RecordWriter) => Promise<T>): Promise<T> {
    const result = await this.#shelf.transact((tx) =>
      RecordWriter.over(tx, { now: this.#now(), keptEvents: this.#options.keptEvents ?? 4096 }, work),
    );
    this.#pump.wake();
    return result;
  }

  #sweepSoon(): void {
    if (this.#closed.signal.aborted) return;
    this.#sweep = this.#sweep.then(() => this.#sweepNow()).catch(() => undefined); // out of reach: looked again soon
  }

  /** Takes leases back whose holders are gone or silent, and sees that the broker has a turn for every task. */
  async #sweepNow(): Promise<void> {
    const running = await this.#read((reader) => reader.jobs("job/state/running"));
    const leases = running.flatMap((job) =>
      job.tasks.flatMap((task, index) =>
        task.state === "running"
          ? [{ id: job.id, index, task, sign: `${job.id}/${index}/${task.attempt}/${task.renewals}`, worker: task.worker ?? "" }]
          : [],
      ),
    );
    const silent = new Set(this.#watch.silent(leases.map(({ sign }) => sign)));
    for (const { id, index, task, sign, worker } of leases) {
      if (!silent.has(sign) && !this.#shelf.isGone?.(worker)) continue;
      await this.#write(async (writer) => {
        const job = await writer.job(id);
        if (!job || job === "damaged") return;
        const next = loseTask(job, index, task, this.#patience);
        if (next) await this.#tellLoss(writer, await writer.save(next, job));
      });
    }
    if (this.#shelf.turns)
      await this.#provideTurns([...new Set((await this.#read((reader) => reader.allDue())).map(({ queue }) => queue))]);
  }

  async #tellLoss(writer: RecordWriter, { id, owner, tasks, lostWorkers }: JobRecord): Promise<void> {
    const aside = lostWorkers.length >= this.#patience.losses;
    const message = aside
      ? `The job lost its worker ${lostWorkers.length} times and is set aside; the others go on.`
      : `The job's worker was lost; ${tasks.filter(({ state }) => state === "waiting").length} of its tasks are to be done.`;
    await writer.tell({ type: "notice", job: id, owner, code: aside ? "job/set-aside" : "job/worker-lost", message });
  }

  async #provideTurns(queues: readonly string[]): Promise<void> {
    const { turns } = this.#shelf;
    if (!turns) return;
    try {
      for (const queue of queues) {
        const due = await this.#read((reader) => reader.due(queue));
        await turns.provide(
          queue,
          due.reduce((sum, { waiting }) => sum + waiting, 0),
        );
      }
    } catch (error) {
      // what was written is written; the next sweep provides them
      if (!(error instanceof UserError)) throw new Error(`turns of ${queues.join(", ")}: ${messageOf(error)}`, { cause: error });
    }
  }
}

/** The same text for the same JSON, whatever the order of its keys. */
function digest(value: unknown): string {
  const sorted = (_: string, part: unknown): unknown =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part;
  return createHash("sha256").update(JSON.stringify(value, sorted)).digest("hex");
}
