/** A job with tasks to be done, as far as its turn depends on it. */
export interface DueJob {
  readonly id: string;
  readonly owner: string;
  readonly queue: string;
  readonly priority: number;
  readonly place: number;
  /** How many of its tasks are to be done. */
  readonly waiting: number;
  /** How often others were preferred while it was the next. */
  readonly passed: number;
}

/** How far ahead a worker looks for a job whose models it has loaded. */
const LOOK_AHEAD = 32;
/** How often the next job may be passed over for one whose models are loaded. */
const PATIENCE = 8;

/**
 * The order in which jobs are served: by priority, then one of each owner in turn, beginning with the owner who was served longest ago,
 * and for one owner as they were added or moved.
 * @param servedAt number of the owner's last turn; 0 for never
 */
export function dueOrder(due: readonly DueJob[], servedAt: ReadonlyMap<string, number>): DueJob[] {
  const sorted = [...due].sort((a, b) => a.priority - b.priority || a.place - b.place);
  const taken = new Map<string, number>();
  const ranked = sorted.map((job) => {
    const group = `${job.priority}/${job.owner}`;
    const rank = taken.get(group) ?? 0;
    taken.set(group, rank + 1);
    return { job, rank, served: servedAt.get(job.owner) ?? 0 };
  });
  ranked.sort((a, b) => a.job.priority - b.job.priority || a.rank - b.rank || a.served - b.served || a.job.place - b.job.place);
  return ranked.map(({ job }) => job);
}

/**
 * The job that a worker gets: the first among the next 32 whose queue it has loaded, or else the next. A job that was passed over
 * 8 times is passed over no more, and only jobs of the next one's priority are preferred to it.
 * @returns the choice, and the job that it passes over
 */
export function chooseDue(
  order: readonly DueJob[],
  loaded: ReadonlySet<string>,
): { readonly chosen?: DueJob; readonly passedOver?: DueJob } {
  const [next] = order;
  if (!next) return {};
  if (loaded.has(next.queue) || next.passed >= PATIENCE) return { chosen: next };
  const preferred = order.slice(0, LOOK_AHEAD).find(({ queue, priority }) => priority === next.priority && loaded.has(queue));
  return preferred ? { chosen: preferred, passedOver: next } : { chosen: next };
}
