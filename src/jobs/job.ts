import { z } from "zod";

/** What a task or a job is doing. A job is what its tasks are, see {@link stateOf}. */
export const JOB_STATES = ["waiting", "running", "done", "failed", "cancelled"] as const;
export type JobState = (typeof JOB_STATES)[number];

/** Priorities that this program uses; any whole number will do, and the smaller is served first. */
export const PRIORITIES = { interactive: 1, api: 5, grid: 10 } as const;

const failure = z.object({ code: z.string(), message: z.string() });
/** Why a task failed: a stable code for programs, and words. */
export type TaskFailure = z.infer<typeof failure>;

const taskRecord = z.object({
  state: z.enum(JOB_STATES),
  /** Number of the newest attempt. It only grows, also over a retry, so that what an earlier holder says is never taken for the newest. */
  attempt: z.int().nonnegative(),
  /** Attempts that failed since the job was added or retried. */
  failures: z.int().nonnegative(),
  /** The holder's secret, while it runs. */
  token: z.string().optional(),
  /** The process that has it, while it runs. */
  worker: z.string().optional(),
  /** Counts the holder's signs of life. */
  renewals: z.int().nonnegative(),
  progress: z.unknown().optional(),
  result: z.unknown().optional(),
  error: failure.optional(),
});
export type TaskRecord = z.infer<typeof taskRecord>;

/** A job as it is kept. */
export const jobRecord = z.object({
  id: z.string(),
  /** In the order in which jobs were added. */
  number: z.int().positive(),
  owner: z.string(),
  /** What a worker must be able to do, such as `generate:<model>`. */
  queue: z.string(),
  kind: z.string(),
  payload: z.unknown(),
  /** Seed of the first task; those of the others follow. */
  seed: z.int().optional(),
  priority: z.int(),
  /** Among the owner's jobs of one priority; the smaller is served first. */
  place: z.number(),
  /** How often others were preferred while this one was the next. */
  passed: z.int().nonnegative(),
  /** Whether somebody cancelled it as a whole. */
  cancelled: z.boolean(),
  /** Workers that were lost while they had a task of it. */
  lostWorkers: z.array(z.string()),
  tasks: z.array(taskRecord).min(1),
  /** Milliseconds since 1970. */
  createdAt: z.number(),
  changedAt: z.number(),
});
export type JobRecord = z.infer<typeof jobRecord>;

/** A task as it is told to others: without the holder's secret. */
export interface JobTask {
  readonly index: number;
  /** The job's seed and the task's index added. */
  readonly seed?: number;
  readonly state: JobState;
  readonly attempt: number;
  readonly worker?: string;
  readonly progress?: unknown;
  readonly result?: unknown;
  readonly error?: TaskFailure;
}

/** A job as it is told to others. */
export interface Job {
  readonly id: string;
  readonly number: number;
  readonly owner: string;
  readonly queue: string;
  readonly kind: string;
  readonly payload: unknown;
  readonly seed?: number;
  readonly priority: number;
  readonly state: JobState;
  /** How many workers were lost while they had a task of it. */
  readonly lost: number;
  readonly tasks: readonly JobTask[];
  readonly createdAt: number;
  readonly changedAt: number;
}

/** The state of a job: running if a task is, waiting if one is still to be done, and otherwise how it ended. */
export function stateOf({ tasks, cancelled }: Pick<JobRecord, "tasks" | "cancelled">): JobState {
  const some = (state: JobState): boolean => tasks.some((task) => task.state === state);
  if (some("running")) return "running";
  if (some("waiting")) return "waiting";
  if (cancelled) return "cancelled";
  if (some("failed")) return "failed";
  return some("done") ? "done" : "cancelled";
}

export const isSettled = (state: JobState): boolean => state !== "waiting" && state !== "running";

/** A job without the secrets of those who work on it. */
export function jobView(record: JobRecord): Job {
  const { id, number, owner, queue, kind, payload, seed, priority, createdAt, changedAt } = record;
  const tasks = record.tasks.map(({ state, attempt, worker, progress, result, error }, index): JobTask => {
    const optional = { seed: seed === undefined ? undefined : seed + index, worker, progress, result, error };
    return { index, state, attempt, ...present(optional) };
  });
  const lost = record.lostWorkers.length;
  const common = { id, number, owner, queue, kind, payload, priority, state: stateOf(record), lost, tasks, createdAt, changedAt };
  return { ...common, ...present({ seed }) };
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };
/** The fields that have a value. */
const present = <T extends object>(fields: T): Present<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>;
