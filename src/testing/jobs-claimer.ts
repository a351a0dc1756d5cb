// A worker in a process of its own, to be killed: claims tasks, says which on its output, works on each for a moment, and finishes it.
// Arguments: the place of the queue as JSON, the queue, the lease in milliseconds.

import { setTimeout as sleep } from "node:timers/promises";
import { openJobs } from "../jobs/open-jobs.node.ts";
import { KINDS } from "./jobs-kinds.ts";

const [, , place, queue, leaseMs] = process.argv;
const jobs = await openJobs(JSON.parse(place!), { kinds: KINDS, leaseMs: Number(leaseMs), pollMs: 25 });
for (;;) {
  const claim = await jobs.claim({ queues: [queue!] }, { waitMs: 1000 });
  if (!claim) continue;
  console.log(JSON.stringify({ task: claim.task, attempt: claim.attempt }));
  for (let i = 0; i < 3; i++) {
    await sleep(50);
    await jobs.renew(claim);
  }
  await jobs.finish(claim, { by: process.pid });
}
