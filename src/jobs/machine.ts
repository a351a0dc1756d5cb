import { isSettled, type JobRecord, stateOf, type TaskFailure, type TaskRecord } from "./job.ts";

// What can happen to a job, as functions from record to record. A change that is not allowed returns undefined, and nothing is written.

/** Says who has which task: what is done for it must name it, and is taken only while it is the newest. */
export interface Lease {
  readonly job: string;
  readonly task: number;
  readonly attempt: number;
  readonly token: string;
}

/** What the machine needs to know about how patient it is to be. */
export interface Patience {
  /** Attempts at a task before it has failed. */
  readonly attempts: number;
  /** Lost workers before a job is set aside. */
  readonly losses: number;
}

const withTask = (job: JobRecord, index: number, task: TaskRecord): JobRecord => ({ ...job, tasks: job.tasks.with(index, task) });

/** The task without what only a running one has. */
const atRest = ({ token: _, worker: __, progress: ___, ...task }: TaskRecord): TaskRecord => task;

/** The task of a lease, if the lease is the one that counts. */
function held(job: JobRecord, lease: Lease): TaskRecord | undefined {
  const task = job.tasks[lease.task];
  return task?.state === "running" && task.attempt === lease.attempt && task.token === lease.token ? task : undefined;
}

/** Index of the first task that is to be done, or -1. */
export const nextTask = (job: JobRecord): number => job.tasks.findIndex(({ state }) => state === "waiting");

/** A worker takes a task. */
export function claimTask(job: JobRecord, index: number, token: string, worker: string): JobRecord | undefined {
  const task = job.tasks[index];
  if (task?.state !== "waiting") return undefined;
  const { error: _, ...kept } = task;
  return withTask({ ...job, passed: 0 }, index, {
    ...kept,
    state: "running",
    attempt: task.attempt + 1,
    renewals: 0,
    token,
    worker,
  });
}

/** What a holder is told that gives a sign of life. */
export type Standing = "held" | "cancelled" | "lost";

/** How a lease stands; a task that was cancelled says so to its last holder. */
export function standing(job: JobRecord, lease: Lease): Standing {
  if (held(job, lease)) return "held";
  const task = job.tasks[lease.task];
  return task?.state === "cancelled" && task.attempt === lease.attempt ? "cancelled" : "lost";
}

/** The holder gives a sign of life, and perhaps says how far it is. */
export function renewTask(job: JobRecord, lease: Lease, progress?: unknown): JobRecord | undefined {
  const task = held(job, lease);
  if (!task) return undefined;
  return withTask(job, lease.task, { ...task, renewals: task.renewals + 1, ...(progress === undefined ? {} : { progress }) });
}

/** The holder has done its task. */
export function finishTask(job: JobRecord, lease: Lease, result: unknown): JobRecord | undefined {
  const task = held(job, lease);
  return task && withTask(job, lease.task, { ...atRest(task), state: "done", result });
}

/** The holder failed. The task waits again unless `again` is false or its attempts are used up. */
export function failTask(
  job: JobRecord,
  lease: Lease,
  error: TaskFailure,
  { attempts }: Patience,
  again = true,
): JobRecord | undefined {
  const task = held(job, lease);
  if (!task) return undefined;
  const failures = task.failures + 1;
  return withTask(job, lease.task, {
    ...atRest(task),
    state: again && failures < attempts ? "waiting" : "failed",
    failures,
    error,
  });
}

/** The holder gives its task back undone, as a worker does that is asked to stop: no attempt is counted. */
export function releaseTask(job: JobRecord, lease: Lease): JobRecord | undefined {
  const task = held(job, lease);
  return task && withTask(job, lease.task, { ...atRest(task), state: "waiting" });
}

const WORKER_LOST: TaskFailure = { code: "job/worker-lost", message: "worker lost" };

/**
 * A holder of a running task was not heard of any more. The task waits again; but a job that lost its worker too often is set aside,
 * since it may be what kills them: what is left of it has failed, and others go on.
 * @param seen the sign of life after which nothing was heard; a holder that gave another one meanwhile keeps its task
 */
export function loseTask(
  job: JobRecord,
  index: number,
  seen: Pick<TaskRecord, "attempt" | "renewals">,
  { attempts, losses }: Patience,
): JobRecord | undefined {
  const task = job.tasks[index];
  if (task?.state !== "running" || task.attempt !== seen.attempt || task.renewals !== seen.renewals) return undefined;
  const lostWorkers = [...new Set([...job.lostWorkers, task.worker ?? "unknown"])];
  const failures = task.failures + 1;
  const state = failures < attempts ? "waiting" : "failed";
  const next = withTask({ ...job, lostWorkers }, index, { ...atRest(task), state, failures, error: WORKER_LOST });
  return lostWorkers.length < losses ? next : setAside(next, WORKER_LOST);
}

/** Lets everything of a job fail that waits; what runs goes on. */
export function setAside(job: JobRecord, error: TaskFailure): JobRecord {
  return {
    ...job,
    tasks: job.tasks.map((task) => (task.state === "waiting" ? { ...task, state: "failed", error } : task)),
  };
}

/** Cancels a job or one of its tasks: what waits or runs is over, what is done stays. */
export function cancelTasks(job: JobRecord, index?: number): JobRecord | undefined {
  const open = (task: TaskRecord, i: number): boolean => !isSettled(task.state) && (index === undefined || i === index);
  if (!job.tasks.some(open)) return undefined;
  const tasks = job.tasks.map((task, i): TaskRecord => (open(task, i) ? { ...atRest(task), state: "cancelled" } : task));
  return { ...job, tasks, cancelled: job.cancelled || index === undefined };
}

/** Everything of a job that failed or was cancelled waits again, with all its attempts. Only a job that has ended can be retried. */
export function retryTasks(job: JobRecord): JobRecord | undefined {
  if (!isSettled(stateOf(job)) || job.tasks.every(({ state }) => state === "done")) return undefined;
  const tasks = job.tasks.map((task): TaskRecord => {
    if (task.state === "done") return task;
    const { error: _, ...kept } = task;
    return { ...kept, state: "waiting", failures: 0 };
  });
  return { ...job, tasks, cancelled: false, lostWorkers: [], passed: 0 };
}
