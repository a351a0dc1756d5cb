// Kills workers and the queue's server at random moments of a run of 40 tasks, with signal 9, and sees that every task is done, and none
// twice:
//   npx tsx bench/jobs/kills.ts [sqlite|redis|postgres] [kills, 50 by default]

import "../../scripts/show-help.ts";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openJobs } from "../../src/jobs/open-jobs.node.ts";
import { KINDS, PATIENCE } from "../../src/testing/jobs-kinds.ts";
import { postgresServer, redisServer, type TestServer } from "../../src/testing/servers.ts";

const CLAIMER = fileURLToPath(new URL("../../src/testing/jobs-claimer.ts", import.meta.url));
const QUEUE = "generate:sdxl";
const LEASE_MS = 500;
const [, , which = "sqlite", kills = "50"] = process.argv;

const folder = await mkdtemp(join(tmpdir(), "kills-"));
const started = which === "redis" ? await redisServer() : which === "postgres" ? await postgresServer() : undefined;
if (typeof started === "string") throw new Error(started);
const server: TestServer | undefined = started;
const address =
  which === "redis"
    ? `redis://127.0.0.1:${server!.port}`
    : which === "postgres"
      ? `postgres://photomaker@127.0.0.1:${server!.port}/postgres`
      : folder;
const options = { kinds: KINDS, leaseMs: LEASE_MS, pollMs: 50, ...PATIENCE };
let jobs = await openJobs({ address }, options);

const done = new Map<string, number>();
let last: string | undefined;
const listen = (): Promise<unknown> =>
  jobs.subscribe(last === undefined ? {} : { after: last }, (event) => {
    if (event.type === "reset") console.log("events were lost");
    last = event.id;
    if (event.type !== "state" || event.taskState !== "done") return;
    const task = `${event.job}/${event.task}`;
    done.set(task, (done.get(task) ?? 0) + 1);
  });
await listen();

const workers: ChildProcess[] = [];
let ending = false;
const worker = (i: number): void => {
  const args = ["--import", "tsx", CLAIMER, JSON.stringify({ address }), QUEUE, String(LEASE_MS)];
  workers[i] = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  workers[i].on("exit", () => ending || worker(i));
};
for (const i of [0, 1]) worker(i);

const from = performance.now();
for (let i = 0; i < 10; i++)
  await jobs.add({ owner: `owner ${i % 3}`, queue: QUEUE, kind: "generate", payload: { prompt: "img" }, tasks: 4, seed: i });

const struck: Record<string, number> = {};
for (let kill = 0; kill < Number(kills); kill++) {
  // half of the blows fall on a worker that has just taken a task, or half a second later at most
  if (Math.random() < 0.7 && done.size < 40)
    await Promise.race(workers.map(({ stdout }) => once(stdout!, "data")).concat([sleep(2000).then(() => [])]));
  await sleep(Math.random() * 250);
  const victim = ["worker 0", "worker 1", "server"][Math.floor(Math.random() * 3)]!;
  struck[victim] = (struck[victim] ?? 0) + 1;
  if (victim !== "server") workers[Number(victim.at(-1))]!.kill("SIGKILL");
  else if (server) {
    await server.stop("SIGKILL");
    await sleep(Math.random() * 500);
    await server.start();
  } else {
    await jobs.close(); // the process that has the queue begins anew
    jobs = await openJobs({ address }, options);
    await listen();
  }
}
const open = async (): Promise<number> => {
  const { jobs: all } = await jobs.list({ limit: 200 });
  return all.flatMap(({ tasks }) => tasks).filter(({ state }) => state !== "done").length;
};
for (const until = Date.now() + 120_000; Date.now() < until && (await open().catch(() => 1)) > 0; ) await sleep(100);
await sleep(500);
ending = true;
for (const one of workers) one.kill("SIGKILL");
const { jobs: all } = await jobs.list({ limit: 200 });
const tasks = all.flatMap((job) => job.tasks);
const attempts = tasks.reduce((sum, { attempt }) => sum + attempt, 0);
const twice = [...done.values()].filter((times) => times !== 1).length;
console.log(
  `${which}: ${Object.entries(struck)
    .map(([who, times]) => `${who} ${times}`)
    .join(", ")} killed in ${((performance.now() - from) / 1000).toFixed(0)} s; ` +
    `${tasks.filter(({ state }) => state === "done").length} of ${tasks.length} tasks done, ${done.size} told, ${twice} not once; ${attempts} attempts`,
);
await jobs.close();
await server?.close();
await rm(folder, { recursive: true, force: true });
process.exit(tasks.length === 40 && done.size === 40 && twice === 0 && tasks.every(({ state }) => state === "done") ? 0 : 1);
