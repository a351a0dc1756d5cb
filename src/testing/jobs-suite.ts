import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { JobsOptions } from "../jobs/create-jobs.node.ts";
import { isSettled, type JobState } from "../jobs/job.ts";
import type { Claim, JobEvent, Jobs, NewJob } from "../jobs/jobs.ts";
import type { Lease } from "../jobs/machine.ts";
import { type JobsPlace, openJobs, openShelf } from "../jobs/open-jobs.node.ts";
import { KINDS, PATIENCE } from "./jobs-kinds.ts";
import { waitFor } from "./wait-for.ts";

/** A place for queues, and its server where it has one. */
export interface PlaceUnderTest {
  /** A place without jobs. */
  fresh(): Promise<JobsPlace>;
  /** Ends the server, and starts it again with what it had kept. */
  readonly server?: { stop(): Promise<void>; start(): Promise<void> };
  close(): Promise<void>;
}

export interface SuiteOptions {
  /** Opens the place, or says why it cannot be tested here. */
  readonly open: () => Promise<PlaceUnderTest | string>;
  /** Runs of the property test. */
  readonly runs: number;
}

export const JOB: NewJob = { owner: "ann", queue: "generate:sdxl", kind: "generate", payload: { prompt: "a woman img" } };
const ANY = { queues: [JOB.queue] };
/** For tests in which no lease is to end. */
const LONG = 20_000;
const SHORT = 400;

/** What every queue does, whatever it is kept in. */
export async function jobsSuite(name: string, { open, runs }: SuiteOptions): Promise<void> {
  const opened = await open();
  if (typeof opened === "string") {
    test.skip(`${name}: skipped, since ${opened}`, () => undefined);
    console.log(`${name}: skipped, since ${opened}`);
    return;
  }
  const under = opened;
  const handles: Jobs[] = [];
  const children: ChildProcess[] = [];
  let place: JobsPlace;

  const handle = async (options: Partial<JobsOptions> = {}, where = place): Promise<Jobs> => {
    const jobs = await openJobs(where, { kinds: KINDS, leaseMs: LONG, pollMs: 25, ...options });
    handles.push(jobs);
    return jobs;
  };
  const closeAll = async (): Promise<void> => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    await Promise.all(handles.splice(0).map((jobs) => jobs.close()));
  };
  const claimed = async (jobs: Jobs, claimer: Parameters<Jobs["claim"]>[0] = ANY): Promise<Claim> => {
    const claim = await jobs.claim(claimer, { waitMs: 5000 });
    if (!claim) throw new Error("nothing to claim");
    return claim;
  };

  describe(name, () => {
    beforeAll(async () => {
      place = await under.fresh();
    });
    afterEach(async () => {
      await closeAll();
      place = await under.fresh();
    });
    afterAll(async () => {
      await closeAll();
      await under.close();
    });

    test("a job of n pictures is n tasks with seeds that follow one another", async () => {
      const jobs = await handle();
      const { job } = await jobs.add({ ...JOB, tasks: 3, seed: 42 });
      expect(job).toMatchObject({ state: "waiting", lost: 0, priority: 5, tasks: [{ seed: 42 }, { seed: 43 }, { seed: 44 }] });
      for (const task of [0, 1, 2]) {
        const claim = await claimed(jobs);
        expect(claim).toMatchObject({ job: job.id, task, attempt: 1, seed: 42 + task, payload: JOB.payload });
        expect((await jobs.get(job.id))?.state).toBe("running");
        expect(await jobs.finish(claim, { picture: task })).toBe(true);
      }
      expect(await jobs.claim(ANY)).toBeUndefined();
      const done = await jobs.get(job.id);
      expect(done).toMatchObject({ state: "done", tasks: [0, 1, 2].map((picture) => ({ state: "done", result: { picture } })) });
      expect(JSON.stringify(done)).not.toContain("token");
    });

    test("a result is taken from the holder of the lease alone, and once", async () => {
      const jobs = await handle();
      const { job } = await jobs.add(JOB);
      const first = await claimed(jobs);
      expect(await jobs.fail(first, { code: "device/failed", message: "it broke" })).toBe(true);
      const second = await claimed(jobs);
      expect(second.attempt).toBe(2);
      expect(await jobs.finish(first, "late")).toBe(false);
      expect(await jobs.finish({ ...second, token: first.token }, "stranger")).toBe(false);
      expect(await jobs.renew(first)).toBe("lost");
      expect(await jobs.finish(second, "mine")).toBe(true);
      expect(await jobs.finish(second, "again")).toBe(false);
      expect(await jobs.fail(second, { code: "x/y", message: "" })).toBe(false);
      expect((await jobs.get(job.id))?.tasks[0]).toMatchObject({ state: "done", result: "mine", attempt: 2 });
    });

    test("a task has failed after its attempts, at once where another would fail too, and is done again when asked", async () => {
      const jobs = await handle({ attempts: 3 });
      const { job } = await jobs.add({ ...JOB, tasks: 3 });
      await jobs.finish(await claimed(jobs), "kept");
      await expect(jobs.retry(job.id)).rejects.toMatchObject({ code: "job/not-to-retry" });
      for (let attempt = 1; attempt <= 3; attempt++)
        await jobs.fail(await claimed(jobs), { code: "device/failed", message: `no. ${attempt}` });
      await jobs.fail(await claimed(jobs), { code: "prompt/cut", message: "never" }, { again: false });
      const failed = await jobs.get(job.id);
      expect(failed?.state).toBe("failed");
      expect(failed?.tasks.map(({ attempt, error }) => [attempt, error?.message])).toEqual([
        [1, undefined],
        [3, "no. 3"],
        [1, "never"],
      ]);
      expect((await jobs.retry(job.id)).tasks.map(({ state }) => state)).toEqual(["done", "waiting", "waiting"]);
      expect(await jobs.finish(await claimed(jobs), 1)).toBe(true);
      expect(await jobs.finish(await claimed(jobs), 2)).toBe(true);
      expect((await jobs.get(job.id))?.state).toBe("done");
      await expect(jobs.retry(job.id)).rejects.toMatchObject({ code: "job/not-to-retry" });
    });

    test("a worker that stops gives its task back without an attempt counted", async () => {
      const jobs = await handle({ attempts: 1 });
      await jobs.add(JOB);
      expect(await jobs.release(await claimed(jobs))).toBe(true);
      expect(await jobs.finish(await claimed(jobs), 1)).toBe(true);
    });

    test("cancelled: what waits is not given out, who works is told, and no restart revives it", async () => {
      const [here, there] = [await handle(), await handle()];
      const { job } = await here.add({ ...JOB, tasks: 3 });
      const done = await claimed(there);
      await there.finish(done, "kept");
      const running = await claimed(there);
      expect(await there.renew(running)).toBe("held");
      expect((await here.cancel(job.id)).state).toBe("cancelled");
      expect(await there.renew(running)).toBe("cancelled");
      expect(await there.progress(running, { step: 1 })).toBe("cancelled");
      expect(await there.finish(running, "late")).toBe(false);
      await closeAll();
      const again = await handle();
      expect(await again.claim(ANY, { waitMs: 100 })).toBeUndefined();
      expect(await again.get(job.id)).toMatchObject({
        state: "cancelled",
        tasks: [{ state: "done", result: "kept" }, { state: "cancelled" }, { state: "cancelled" }],
      });
      expect((await again.cancel(job.id)).state).toBe("cancelled");
      await expect(again.cancel("f".repeat(32))).rejects.toMatchObject({ code: "job/not-found" });
    });

    test("one task of a job is cancelled alone", async () => {
      const jobs = await handle();
      const { job } = await jobs.add({ ...JOB, tasks: 2 });
      expect((await jobs.cancel(job.id, 0)).tasks.map(({ state }) => state)).toEqual(["cancelled", "waiting"]);
      const claim = await claimed(jobs);
      expect(claim.task).toBe(1);
      await jobs.finish(claim, 1);
      expect((await jobs.get(job.id))?.state).toBe("done");
    });

    test("the more urgent is served first, then the owner who was served longest ago", async () => {
      const jobs = await handle();
      const add = async (owner: string, priority: number, tasks = 1): Promise<string> =>
        (await jobs.add({ ...JOB, owner, priority, tasks })).job.id;
      await add("grid", 10, 2);
      await add("ann", 5, 3);
      await add("ben", 5, 2);
      await add("cat", 1);
      const served: string[] = [];
      for (;;) {
        const [next] = await jobs.order();
        const claim = await jobs.claim(ANY, { waitMs: next ? 5000 : 0 });
        expect(claim?.job).toBe(next);
        if (!claim) break;
        served.push(claim.owner);
        await jobs.finish(claim, 0);
      }
      expect(served).toEqual(["cat", "ann", "ben", "ann", "ben", "ann", "grid", "grid"]);
    });

    test("a worker prefers what it has loaded, and passes the next over for a while only", async () => {
      const jobs = await handle();
      const other = (await jobs.add({ ...JOB, queue: "generate:other" })).job.id;
      await jobs.add({ ...JOB, owner: "ben", tasks: 20 });
      const claimer = { queues: ["generate:other", JOB.queue], loaded: [JOB.queue] };
      const order: string[] = [];
      for (let i = 0; i < 10; i++) {
        const claim = await claimed(jobs, claimer);
        order.push(claim.job === other ? "other" : "loaded");
        await jobs.finish(claim, 0);
      }
      expect(order.indexOf("other")).toBe(8);
      expect(await jobs.claim({ queues: ["train"] })).toBeUndefined();
    });

    test("an owner's jobs are put in another order, and get another priority", async () => {
      const jobs = await handle();
      const [a, b, c] = [(await jobs.add(JOB)).job.id, (await jobs.add(JOB)).job.id, (await jobs.add(JOB)).job.id];
      const foreign = (await jobs.add({ ...JOB, owner: "ben" })).job.id;
      await jobs.move(c, { before: a });
      expect((await jobs.order()).filter((id) => id !== foreign)).toEqual([c, a, b]);
      await jobs.move(c, { before: b });
      expect((await jobs.order()).filter((id) => id !== foreign)).toEqual([a, c, b]);
      await jobs.move(b, { priority: 1 });
      expect((await jobs.order())[0]).toBe(b);
      await jobs.move(a, { before: b });
      expect((await jobs.order()).slice(0, 2)).toEqual([a, b]);
      for (const before of [foreign, a])
        await expect(jobs.move(a, { before })).rejects.toMatchObject({ code: "job/not-to-move" });
      await jobs.cancel(c);
      await expect(jobs.move(c, { priority: 1 })).rejects.toMatchObject({ code: "job/not-to-move" });
    });

    test("while a queue is paused nothing of it is given out, and what runs goes on", async () => {
      const jobs = await handle();
      await jobs.add({ ...JOB, tasks: 3 });
      const running = await claimed(jobs);
      await jobs.pause(JOB.queue);
      expect(await jobs.paused()).toEqual([JOB.queue]);
      expect(await jobs.claim(ANY)).toBeUndefined();
      expect(await jobs.finish(running, 0)).toBe(true);
      await jobs.resume(JOB.queue);
      await jobs.release(await claimed(jobs));
      await jobs.pause();
      expect(await jobs.claim(ANY)).toBeUndefined();
      await jobs.resume();
      expect((await claimed(jobs)).task).toBe(1);
    });

    test("the same key gives the same job for a day, and another job is refused under it", async () => {
      let now = Date.now();
      const jobs = await handle({ now: () => now });
      const keyed = { ...JOB, idempotencyKey: "k1" };
      const first = await jobs.add(keyed);
      expect(first.isNew).toBe(true);
      const [again, twin] = await Promise.all([jobs.add(keyed), (await handle()).add(keyed)]);
      expect([again.isNew, again.job.id, twin.job.id]).toEqual([false, first.job.id, first.job.id]);
      await expect(jobs.add({ ...keyed, payload: { prompt: "else" } })).rejects.toMatchObject({ code: "job/key-reused" });
      expect((await jobs.add({ ...keyed, owner: "ben" })).isNew).toBe(true);
      now += 86_400_001;
      expect((await jobs.add({ ...keyed, payload: { prompt: "else" } })).isNew).toBe(true);
      expect((await jobs.list()).jobs).toHaveLength(3);
    });

    test("what is too much or not understood is refused", async () => {
      const jobs = await handle({ limits: { waitingJobs: 2, tasks: 4 } });
      await expect(jobs.add({ ...JOB, tasks: 5 })).rejects.toMatchObject({ code: "job/tasks" });
      await expect(jobs.add({ ...JOB, tasks: 0 })).rejects.toMatchObject({ code: "job/tasks" });
      await expect(jobs.add({ ...JOB, kind: "toString" })).rejects.toMatchObject({ code: "job/kind-unknown" });
      await expect(jobs.add({ ...JOB, payload: { prompt: 7 } })).rejects.toMatchObject({ code: "job/payload" });
      const { job } = await jobs.add(JOB);
      await jobs.add(JOB);
      await expect(jobs.add(JOB)).rejects.toMatchObject({ code: "job/too-many-waiting" });
      await jobs.add({ ...JOB, owner: "ben" });
      await jobs.cancel(job.id);
      await jobs.add(JOB);
      await expect(jobs.retry(job.id)).rejects.toMatchObject({ code: "job/too-many-waiting" });
    });

    test("jobs are listed newest first, page by page, and removed when they are over", async () => {
      const jobs = await handle();
      const ids: string[] = [];
      for (let i = 0; i < 5; i++) ids.unshift((await jobs.add({ ...JOB, owner: i < 4 ? "ann" : "ben" })).job.id);
      const first = await jobs.list({ limit: 2 });
      const second = await jobs.list({ limit: 2, after: first.next! });
      const third = await jobs.list({ limit: 2, after: second.next! });
      expect([first, second, third].flatMap((page) => page.jobs.map(({ id }) => id))).toEqual(ids);
      expect(third.next).toBeUndefined();
      await jobs.cancel(ids[1]!);
      expect((await jobs.list({ owner: "ann", state: "waiting" })).jobs.map(({ id }) => id)).toEqual(ids.slice(2));
      expect((await jobs.list({ state: "cancelled" })).jobs.map(({ id }) => id)).toEqual([ids[1]]);
      expect((await jobs.list({ owner: "ben" })).jobs).toHaveLength(1);
      expect(await jobs.counts()).toEqual({ waiting: 4, running: 0, done: 0, failed: 0, cancelled: 1 });
      await expect(jobs.remove(ids[0]!)).rejects.toMatchObject({ code: "job/not-ended" });
      await jobs.remove(ids[1]!);
      expect(await jobs.get(ids[1]!)).toBeUndefined();
      expect((await jobs.list()).jobs).toHaveLength(4);
    });

    test("events are told in order, to other processes too, from any that is still known", async () => {
      const [here, there] = [await handle(), await handle()];
      const live: JobEvent[] = [];
      const stop = await there.subscribe({ owner: "ann" }, (event) => live.push(event));
      const { job } = await here.add({ ...JOB, tasks: 2 });
      await here.add({ ...JOB, owner: "ben", queue: "train" });
      const claim = await claimed(here);
      await here.progress(claim, { step: 3 });
      await here.finish(claim, 0);
      await waitFor(() => live.length >= 4);
      stop();
      const plain = live.map((event) => ("task" in event && event.type === "state" ? [event.task, event.taskState] : event.type));
      expect(plain).toEqual(["state", [0, "running"], "progress", [0, "done"]]);
      expect(live[2]).toMatchObject({ job: job.id, task: 0, progress: { step: 3 } });
      expect((await here.get(job.id))?.tasks[0]).not.toHaveProperty("progress");

      const replayed: JobEvent[] = [];
      await there.subscribe({ owner: "ann", after: live[1]!.id }, (event) => replayed.push(event));
      await waitFor(() => replayed.length >= 2);
      expect(replayed).toEqual(live.slice(2));

      for (const after of ["other.1", "nonsense", `${live[0]!.id}999999`]) {
        const told: JobEvent[] = [];
        await there.subscribe({ after }, (event) => told.push(event));
        expect(
          told.map(({ type }) => type),
          after,
        ).toEqual(["reset"]);
      }
    });

    test("who comes back after too many events is told to ask for everything anew", async () => {
      const jobs = await handle({ keptEvents: 8 });
      const seen: JobEvent[] = [];
      const stop = await jobs.subscribe({}, (event) => seen.push(event));
      for (let i = 0; i < 12; i++) await jobs.cancel((await jobs.add({ ...JOB, owner: `owner ${i}` })).job.id);
      await waitFor(() => seen.length === 24);
      stop();
      const replay = async (after: string): Promise<JobEvent[]> => {
        const told: JobEvent[] = [];
        await jobs.subscribe({ after }, (event) => told.push(event));
        await waitFor(() => told.length > 0);
        return told;
      };
      expect((await replay(seen[1]!.id))[0]).toMatchObject({ type: "reset", number: 24 });
      expect((await replay(seen[22]!.id)).at(-1)).toEqual(seen[23]);
    });

    test("two claimers at once: every task is given out once", async () => {
      const [a, b] = [await handle(), await handle()];
      for (const owner of ["ann", "ben", "cat"]) await a.add({ ...JOB, owner, tasks: 5 });
      const got: string[] = [];
      const work = async (jobs: Jobs): Promise<void> => {
        for (let idle = 0; idle < 2; ) {
          const claim = await jobs.claim(ANY, { waitMs: 60 });
          if (!claim) idle++;
          else got.push(`${claim.job}/${claim.task}`);
          if (claim) expect(await jobs.finish(claim, got.length)).toBe(true);
        }
      };
      await Promise.all([work(a), work(b), work(b)]);
      expect(got).toHaveLength(15);
      expect(new Set(got).size).toBe(15);
    });

    test("a job waits for a worker, and a worker for a job", async () => {
      const [a, b] = [await handle(), await handle()];
      const waiting = a.claim(ANY, { waitMs: 10_000 });
      await sleep(60);
      await b.add(JOB);
      expect((await waiting)?.attempt).toBe(1);
      const stop = new AbortController();
      const stopped = a.claim(ANY, { waitMs: 60_000, signal: stop.signal });
      stop.abort();
      expect(await stopped).toBeUndefined();
    });

    test("a lease that is renewed holds through jumps of the clock, and a silent one is taken over", async () => {
      let wall = Date.now();
      const [a, b] = await Promise.all(["a", "b"].map((worker) => handle({ leaseMs: SHORT, worker, now: () => wall })));
      const { job } = await a!.add(JOB);
      const first = await claimed(a!);
      for (const jump of [86_400_000, -2 * 86_400_000, 86_400_000]) {
        wall += jump;
        for (let i = 0; i < 4; i++) {
          await sleep(SHORT / 8);
          expect(await a!.renew(first)).toBe("held");
        }
      }
      wall -= 86_400_000;
      const second = await claimed(b!);
      expect(second).toMatchObject({ job: job.id, task: 0, attempt: 2 });
      expect(await a!.renew(first)).toBe("lost");
      expect(await a!.finish(first, "late")).toBe(false);
      expect(await b!.finish(second, "mine")).toBe(true);
      expect((await a!.get(job.id))?.tasks[0]).toMatchObject({ state: "done", result: "mine" });
    });

    test("a job that lost its worker twice is set aside, and the queue goes on behind it", async () => {
      const [a, b, c] = await Promise.all(["a", "b", "c"].map((worker) => handle({ leaseMs: SHORT, worker })));
      const { job } = await a!.add({ ...JOB, tasks: 3 });
      const notices: string[] = [];
      await c!.subscribe({}, (event) => event.type === "notice" && notices.push(event.code));
      expect((await claimed(a!)).job).toBe(job.id);
      expect((await claimed(b!)).job).toBe(job.id);
      await waitFor(async () => (await c!.get(job.id))?.state === "failed");
      const aside = await c!.get(job.id);
      expect(aside).toMatchObject({ lost: 2, tasks: Array(3).fill({ state: "failed", error: { code: "job/worker-lost" } }) });
      expect(aside?.tasks[0]?.error?.message).toBe("worker lost");
      await waitFor(() => notices.length >= 2);
      expect(notices).toEqual(["job/worker-lost", "job/set-aside"]);
      const next = (await c!.add(JOB)).job.id;
      const claim = await claimed(c!);
      expect(claim.job).toBe(next);
      await c!.finish(claim, 0);
      expect((await c!.retry(job.id)).lost).toBe(0);
      expect((await claimed(c!)).job).toBe(job.id);
    });

    test("a damaged payload or entry fails its job, and the next is given out", async () => {
      const jobs = await handle();
      const ids: string[] = [];
      for (const tasks of [2, 1, 1]) ids.push((await jobs.add({ ...JOB, tasks })).job.id);
      const events: JobEvent[] = [];
      await jobs.subscribe({}, (event) => events.push(event));
      const shelf = await openShelf(place);
      await shelf.transact(async (tx) => {
        const text = (await tx.get("job", ids[0]!))!;
        await tx.put("job", ids[0]!, text.replace('"prompt":', '"pronpt":'), { "job/all": 1 });
        await tx.put("job", ids[1]!, '{"id":', { "job/all": 2 });
      });
      await shelf.close();
      expect((await claimed(jobs)).job).toBe(ids[2]);
      expect(await jobs.get(ids[0]!)).toMatchObject({
        state: "failed",
        tasks: [{ error: { code: "job/damaged" } }, { state: "failed" }],
      });
      expect(await jobs.get(ids[1]!)).toBeUndefined();
      await waitFor(() => events.filter(({ type }) => type === "notice").length === 2);
      expect(await jobs.claim(ANY)).toBeUndefined();
    });

    test("what a newer version wrote is refused", async () => {
      await (await handle()).add(JOB);
      await closeAll();
      const shelf = await openShelf(place);
      await shelf.transact(async (tx) => {
        const counters = JSON.parse((await tx.get("meta", "counters"))!);
        await tx.put("meta", "counters", JSON.stringify({ ...counters, version: 99 }));
      });
      await shelf.close();
      await expect(handle()).rejects.toMatchObject({ code: "jobs/newer-version", message: expect.stringContaining("99") });
    });

    test("random calls in any order keep the rules of the state machine", { timeout: 120_000 }, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(CALL, { minLength: 5, maxLength: 40 }), async (calls) => {
          await closeAll();
          place = await under.fresh();
          await checkCalls(calls, [await handle({ attempts: 2 }), await handle({ attempts: 2 })]);
        }),
        { numRuns: runs, endOnFailure: true },
      );
    });

    test("kill -9 of a process that works: its task is taken over, nothing is lost and nothing is done twice", async () => {
      const jobs = await handle({ leaseMs: 600, ...PATIENCE });
      const { job } = await jobs.add({ ...JOB, tasks: 12 });
      const done: number[] = [];
      await jobs.subscribe({ job: job.id }, (event) => {
        if (event.type === "state" && event.taskState === "done") done.push(event.task!);
      });
      const [victim, ...others] = [0, 1].map(() => {
        const child = spawn(process.execPath, ["--import", "tsx", CLAIMER, JSON.stringify(place), JOB.queue, "600"], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        children.push(child);
        return child;
      });
      const lines = createInterface({ input: victim!.stdout! });
      const [line] = (await once(lines, "line")) as [string];
      victim!.kill("SIGKILL"); // it has claimed a task and works on it
      await once(victim!, "exit");
      await waitFor(async () => {
        const claim = await jobs.claim(ANY, { waitMs: 100 });
        if (claim) await jobs.finish(claim, { by: "parent" });
        return isSettled((await jobs.get(job.id))!.state);
      });
      for (const other of others) other.kill("SIGKILL");
      const killed = JSON.parse(line) as { task: number };
      const ended = (await jobs.get(job.id))!;
      expect(ended.tasks.every(({ state }) => state === "done")).toBe(true);
      expect(ended.tasks[killed.task]!.attempt).toBeGreaterThan(1);
      expect(ended.lost).toBeGreaterThan(0);
      await waitFor(() => done.length >= 12);
      expect([...done].sort((x, y) => x - y)).toEqual(Array.from({ length: 12 }, (_, i) => i));
    });

    if (under.server)
      test("a queue that is away for a while: calls say so, and afterwards all goes on", async () => {
        const jobs = await handle({ leaseMs: 1500 });
        const { job } = await jobs.add({ ...JOB, tasks: 2 });
        const claim = await claimed(jobs);
        await under.server!.stop();
        for (const call of [() => jobs.renew(claim), () => jobs.claim(ANY), () => jobs.add(JOB), () => jobs.list()])
          await expect(call()).rejects.toMatchObject({ code: "jobs/unreachable" });
        await sleep(1600); // longer than the lease: nobody could give a sign
        await under.server!.start();
        await waitFor(async () => (await jobs.renew(claim).catch(() => "away")) === "held");
        expect(await jobs.finish(claim, 0)).toBe(true);
        expect(await jobs.finish(await claimed(jobs), 1)).toBe(true);
        expect((await jobs.get(job.id))?.state).toBe("done");
      });
  });
}

const CLAIMER = fileURLToPath(new URL("jobs-claimer.ts", import.meta.url));

/** A random call: what, by which of two handles, on which job, task or lease of those there are. */
const CALL = fc.record({
  what: fc.oneof(
    { weight: 4, arbitrary: fc.constant("claim" as const) },
    { weight: 3, arbitrary: fc.constantFrom("add" as const, "finish" as const) },
    {
      weight: 2,
      arbitrary: fc.constantFrom("fail" as const, "give-up" as const, "release" as const, "renew" as const, "progress" as const),
    },
    { weight: 2, arbitrary: fc.constantFrom("cancel" as const, "cancel-task" as const, "retry" as const, "move" as const) },
  ),
  by: fc.nat(1),
  pick: fc.nat(),
  other: fc.nat(),
  tasks: fc.integer({ min: 1, max: 3 }),
  owner: fc.constantFrom("ann", "ben"),
  priority: fc.constantFrom(1, 5),
});
type Call = typeof CALL extends fc.Arbitrary<infer T> ? T : never;

/** The rules, said once more and in another way: a table of what each task is. */
interface ModelTask {
  state: JobState;
  failures: number;
  lease?: Lease;
  result?: unknown;
}

async function checkCalls(calls: readonly Call[], handles: readonly Jobs[]): Promise<void> {
  const model = new Map<string, { tasks: ModelTask[] }>();
  const leases: Lease[] = [];
  const ends = ["done", "failed", "cancelled"];
  let results = 0;
  const over = (id: string): boolean => model.get(id)!.tasks.every(({ state }) => ends.includes(state));
  for (const { what, by, pick, other, tasks, owner, priority } of calls) {
    const jobs = handles[by]!;
    const ids = [...model.keys()];
    const id = ids[pick % Math.max(1, ids.length)];
    const lease = leases[pick % Math.max(1, leases.length)];
    const task = lease && model.get(lease.job)!.tasks[lease.task]!;
    const holds = task?.lease !== undefined && task.lease === lease;
    switch (what) {
      case "add": {
        const { job } = await jobs.add({ ...JOB, owner, tasks, priority });
        model.set(job.id, { tasks: Array.from({ length: tasks }, () => ({ state: "waiting", failures: 0 })) });
        break;
      }
      case "claim": {
        const due = [...model.values()].some((job) => job.tasks.some(({ state }) => state === "waiting"));
        const claim = await jobs.claim(ANY, { waitMs: due ? 5000 : 0 });
        expect(claim !== undefined).toBe(due);
        if (!claim) break;
        const given = model.get(claim.job)!.tasks[claim.task]!;
        expect(given.state).toBe("waiting");
        const { job, task: index, attempt, token } = claim;
        given.lease = { job, task: index, attempt, token };
        given.state = "running";
        leases.push(given.lease);
        break;
      }
      case "finish":
        if (!lease) break;
        expect(await jobs.finish(lease, ++results)).toBe(holds);
        if (holds) Object.assign(task!, { state: "done", result: results, lease: undefined });
        break;
      case "fail":
      case "give-up": {
        if (!lease) break;
        const again = what === "fail";
        expect(await jobs.fail(lease, { code: "x/y", message: "" }, { again })).toBe(holds);
        if (!holds) break;
        task!.failures++;
        Object.assign(task!, { state: again && task!.failures < 2 ? "waiting" : "failed", lease: undefined });
        break;
      }
      case "release":
        if (!lease) break;
        expect(await jobs.release(lease)).toBe(holds);
        if (holds) Object.assign(task!, { state: "waiting", lease: undefined });
        break;
      case "renew":
      case "progress":
        if (!lease) break;
        expect((what === "renew" ? await jobs.renew(lease) : await jobs.progress(lease, 1)) === "held").toBe(holds);
        break;
      case "cancel":
      case "cancel-task":
        if (!id) break;
        await (what === "cancel" ? jobs.cancel(id) : jobs.cancel(id, other % 3));
        for (const [i, one] of model.get(id)!.tasks.entries())
          if (!ends.includes(one.state) && (what === "cancel" || i === other % 3))
            Object.assign(one, { state: "cancelled", lease: undefined });
        break;
      case "retry": {
        if (!id) break;
        const allowed = over(id) && model.get(id)!.tasks.some(({ state }) => state !== "done");
        const retried = await jobs.retry(id).then(
          () => true,
          () => false,
        );
        expect(retried).toBe(allowed);
        for (const one of allowed ? model.get(id)!.tasks : [])
          if (one.state !== "done") Object.assign(one, { state: "waiting", failures: 0 });
        break;
      }
      case "move":
        if (id) await jobs.move(id, { before: ids[other % ids.length]! }).catch(() => undefined);
        break;
    }
  }
  for (const [id, job] of model) {
    const kept = (await handles[0]!.get(id))!;
    expect(kept.tasks.map(({ state, result }) => [state, result])).toEqual(job.tasks.map(({ state, result }) => [state, result]));
    const states = job.tasks.map(({ state }) => state);
    if (states.includes("running")) expect(kept.state).toBe("running");
    else if (states.includes("waiting")) expect(kept.state).toBe("waiting");
    else expect(ends).toContain(kept.state);
  }
  const due = [...model].filter(([, { tasks }]) => tasks.some(({ state }) => state === "waiting")).map(([id]) => id);
  expect([...(await handles[1]!.order())].sort()).toEqual(due.sort());
}
