import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { UserError } from "../core/errors.ts";
import { KINDS } from "../testing/jobs-kinds.ts";
import { JOB } from "../testing/jobs-suite.ts";
import type { JobEvent, Jobs } from "./jobs.ts";
import { openJobs } from "./open-jobs.node.ts";
import { type TaskWork, workOn } from "./work-on.ts";

const leaseMs = 300;
let folder: string;
let jobs: Jobs;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "work-"));
  jobs = await openJobs({ address: folder }, { kinds: KINDS, leaseMs, pollMs: 20 });
});
afterEach(async () => {
  await jobs.close();
  await rm(folder, { recursive: true });
});

const claimed = async () => (await jobs.claim({ queues: [JOB.queue] }, { waitMs: 5000 }))!;
const untilAborted = ({ signal }: TaskWork): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

test("work longer than the lease keeps it, and of much progress the newest is told", async () => {
  const { job } = await jobs.add(JOB);
  const told: unknown[] = [];
  await jobs.subscribe({}, (event: JobEvent) => event.type === "progress" && told.push(event.progress));
  const work = async ({ progress }: TaskWork): Promise<string> => {
    for (let step = 1; step <= 90; step++) {
      progress({ step });
      await sleep(10);
    }
    return "picture";
  };
  expect(await workOn(jobs, await claimed(), work, { leaseMs, progressMs: 100 })).toBe("done");
  expect((await jobs.get(job.id))?.tasks[0]).toMatchObject({ state: "done", attempt: 1, result: "picture" });
  await sleep(60);
  expect(told.length).toBeGreaterThan(2);
  expect(told.length).toBeLessThan(20);
});

test("a task that is cancelled elsewhere is aborted at the next sign of life", async () => {
  const { job } = await jobs.add(JOB);
  const working = workOn(jobs, await claimed(), untilAborted, { leaseMs });
  await jobs.cancel(job.id);
  expect(await working).toBe("cancelled");
});

test("a worker that is asked to stop gives its task back", async () => {
  const { job } = await jobs.add(JOB);
  const stop = new AbortController();
  const working = workOn(jobs, await claimed(), untilAborted, { leaseMs, stop: stop.signal });
  stop.abort();
  expect(await working).toBe("given-back");
  expect((await jobs.get(job.id))?.tasks[0]).toMatchObject({ state: "waiting" });
  expect(await workOn(jobs, await claimed(), async () => 1, { stop: AbortSignal.abort() })).toBe("given-back");
});

test("a mistake of the request fails at once, and what broke is tried again", async () => {
  const first = (await jobs.add(JOB)).job.id;
  const mistake = new UserError("job/payload", "no", "Correct it.");
  expect(await workOn(jobs, await claimed(), () => Promise.reject(mistake))).toBe("failed");
  expect((await jobs.get(first))?.tasks[0]).toMatchObject({ state: "failed", error: { code: "job/payload", message: "no" } });
  const second = (await jobs.add(JOB)).job.id;
  expect(await workOn(jobs, await claimed(), () => Promise.reject(new Error("cracked")))).toBe("failed");
  expect((await jobs.get(second))?.tasks[0]).toMatchObject({
    state: "waiting",
    error: { code: "job/broke", message: "cracked" },
  });
});

test("while the queue is away the work goes on, and its end is told when it is back", async () => {
  const patient = await openJobs({ address: join(folder, "patient") }, { kinds: KINDS });
  const { job } = await patient.add(JOB);
  const claim = (await patient.claim({ queues: [JOB.queue] }))!;
  let away = true;
  let refused = 0;
  const gate =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    (...args: A): Promise<R> => {
      if (!away) return call(...args);
      if (++refused === 4) away = false;
      return Promise.reject(new UserError("jobs/unreachable", "away", "Wait."));
    };
  const shaky = {
    renew: gate(patient.renew.bind(patient)),
    progress: gate(patient.progress.bind(patient)),
    finish: gate(patient.finish.bind(patient)),
    fail: gate(patient.fail.bind(patient)),
    release: gate(patient.release.bind(patient)),
  };
  const work = async ({ signal }: TaskWork): Promise<string> => {
    await sleep(150, undefined, { signal });
    return "picture";
  };
  expect(await workOn(shaky, claim, work, { leaseMs: 150 })).toBe("done"); // renewed two times in vain, and ended the third time
  expect(refused).toBe(4);
  expect((await patient.get(job.id))?.tasks[0]).toMatchObject({ state: "done", attempt: 1, result: "picture" });
  await patient.close();
});
