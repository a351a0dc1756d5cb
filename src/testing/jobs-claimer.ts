// A worker in a process of its own, to be killed: claims tasks, says which on its output, works on each for a moment, and finishes it.
// Arguments: the place of the queue as JSON, the queue, the lease in milliseconds.

import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "../core/errors.ts";
import { openJobs } from "../jobs/open-jobs.node.ts";
import { KINDS, PATIENCE } from "./jobs-kinds.ts";

const [, , place, queue, leaseMs] = process.argv;
const jobs = await insist(() =>
  openJobs(JSON.parse(place!), { kinds: KINDS, leaseMs: Number(leaseMs), pollMs: 25, ...PATIENCE }),
);
for (;;) {
  const claim = await insist(() => jobs.claim({ queues: [queue!] }, { waitMs: 1000 }));
  if (!claim) continue;
  console.log(JSON.stringify({ task: claim.task, attempt: claim.attempt }));
  for (let i = 0; i < 3; i++) {
    await sleep(50);
    await insist(() => jobs.renew(claim));
  }
  await insist(() => jobs.finish(claim, { by: process.pid }));
}

/** Calls again while the queue cannot be reached. */
async function insist<T>(call: () => Promise<T>): Promise<T> {
  for (;;)
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof UserError && error.code === "jobs/unreachable")) throw error;
      await sleep(50);
    }
}
