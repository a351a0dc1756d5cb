import type { Job, JobState, TaskFailure } from "./job.ts";
import type { Lease, Standing } from "./machine.ts";

/** A job that somebody wants. Everything in it is plain JSON. */
export interface NewJob {
  readonly owner: string;
  /** What a worker must be able to do, such as `generate:<model>`. */
  readonly queue: string;
  /** Names the schema of the payload. */
  readonly kind: string;
  readonly payload: unknown;
  /** How many tasks it has; 1 by default. */
  readonly tasks?: number;
  /** Seed of the first task; those of the others follow. */
  readonly seed?: number;
  /** The smaller is served first; 5 by default. */
  readonly priority?: number;
  /** The same key gives the same job for 24 hours. */
  readonly idempotencyKey?: string;
}

/** Who looks for work. */
export interface Claimer {
  /** What it can do. */
  readonly queues: readonly string[];
  /** What of this it can do at once, since the models are loaded. */
  readonly loaded?: readonly string[];
}

/** A task that was given to a worker. */
export interface Claim extends Lease {
  readonly owner: string;
  readonly queue: string;
  readonly kind: string;
  /** As the kind's schema reads it. */
  readonly payload: unknown;
  readonly seed?: number;
}

/** Which jobs are listed, newest first. */
export interface JobFilter {
  readonly owner?: string;
  readonly state?: JobState;
  /** The `next` of the page before. */
  readonly after?: number;
  /** 1 to 200; 50 by default. */
  readonly limit?: number;
}

interface EventHead {
  /** Grows by one with each event. */
  readonly number: number;
  /** `<epoch>.<number>`: what `subscribe` continues from. */
  readonly id: string;
}
interface OfJob extends EventHead {
  readonly job: string;
  readonly owner: string;
}
/** What happened. A `reset` says that events are missing, and that everything is to be asked for anew. */
export type JobEvent =
  | (OfJob & { readonly type: "state"; readonly state: JobState; readonly task?: number; readonly taskState?: JobState })
  | (OfJob & { readonly type: "progress"; readonly task: number; readonly progress: unknown })
  | (OfJob & { readonly type: "notice"; readonly code: string; readonly message: string })
  | (OfJob & { readonly type: "removed" })
  | (OfJob & { readonly type: "moved" })
  | (EventHead & { readonly type: "queue"; readonly paused: readonly string[] })
  | (EventHead & { readonly type: "reset" });

export interface Subscription {
  /** Id of the last event that was seen; without it, events from now on are told. */
  readonly after?: string;
  readonly job?: string;
  readonly owner?: string;
}

/**
 * The queue. A job is a number of tasks; a task is given to one worker at a time, whose lease must be renewed. Calls reject with
 * `jobs/unreachable` while the place where jobs are kept cannot be reached, and work again when it can.
 */
export interface Jobs {
  /**
   * Adds a job, or gives the one that was added with the same key.
   * @throws UserError job/kind-unknown, job/payload, job/tasks, job/too-many-waiting, job/key-reused
   */
  add(job: NewJob): Promise<{ readonly job: Job; readonly isNew: boolean }>;
  /** Takes the next task, or waits for one for a while. */
  claim(claimer: Claimer, options?: { readonly waitMs?: number; readonly signal?: AbortSignal }): Promise<Claim | undefined>;
  /** A sign of life, to be given every third of the lease's time. Whoever does not hold the lease any more stops its work. */
  renew(lease: Lease): Promise<Standing>;
  /** A sign of life that says how far the task is. */
  progress(lease: Lease, progress: unknown): Promise<Standing>;
  /** @returns whether it was taken; of the holder of the lease alone it is */
  finish(lease: Lease, result: unknown): Promise<boolean>;
  /** @param again false where another attempt would fail too */
  fail(lease: Lease, error: TaskFailure, options?: { readonly again?: boolean }): Promise<boolean>;
  /** Gives a task back undone, without an attempt counted. */
  release(lease: Lease): Promise<boolean>;

  /** Cancels a job or one task of it. What has ended stays as it is. @throws UserError job/not-found */
  cancel(id: string, task?: number): Promise<Job>;
  /** Does again what failed or was cancelled. @throws UserError job/not-found, job/not-to-retry */
  retry(id: string): Promise<Job>;
  /**
   * Changes its turn: another priority, or the place right before another job of the same owner, whose priority it gets.
   * @throws UserError job/not-found, job/not-to-move
   */
  move(id: string, to: { readonly priority: number } | { readonly before: string }): Promise<Job>;
  /** Forgets a job that has ended, with its payload. @throws UserError job/not-found, job/not-ended */
  remove(id: string): Promise<void>;
  /** Gives out nothing more of a queue, or of all; what runs goes on. */
  pause(queue?: string): Promise<void>;
  resume(queue?: string): Promise<void>;
  /** Queues that are paused; `*` is all. */
  paused(): Promise<readonly string[]>;

  get(id: string): Promise<Job | undefined>;
  list(filter?: JobFilter): Promise<{ readonly jobs: readonly Job[]; readonly next?: number }>;
  /** How many jobs there are in each state. */
  counts(): Promise<Readonly<Record<JobState, number>>>;
  /** Ids of the jobs with tasks to be done, in the order in which they are served. */
  order(): Promise<readonly string[]>;
  /** Tells events in their order, those of other processes too. @returns what ends it, when it has begun */
  subscribe(subscription: Subscription, listener: (event: JobEvent) => void): Promise<() => void>;
  /** Ends this handle. Leases that it has given stay as they are. */
  close(): Promise<void>;
}
