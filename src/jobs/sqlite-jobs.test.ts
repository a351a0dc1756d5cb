import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { expect, test } from "vitest";
import { optionalPackage } from "../core/optional-package.node.ts";
import { KINDS } from "../testing/jobs-kinds.ts";
import { JOB, jobsSuite } from "../testing/jobs-suite.ts";
import { createJobs } from "./create-jobs.node.ts";
import { openJobs } from "./open-jobs.node.ts";
import { sqliteShelf } from "./sqlite-shelf.node.ts";

const root = await mkdtemp(join(tmpdir(), "jobs-"));
let folders = 0;

await jobsSuite("jobs in a data folder", {
  runs: 25,
  open: async () => ({
    fresh: async () => ({ address: join(root, String(folders++)) }),
    close: () => rm(root, { recursive: true, force: true }),
  }),
});

test("a folder that cannot hold jobs, or holds something else, is refused by name", async () => {
  const folder = await mkdtemp(join(tmpdir(), "jobs-"));
  await writeFile(join(folder, "jobs.sqlite"), "this is no list of jobs ".repeat(100));
  await expect(openJobs({ address: folder }, { kinds: KINDS })).rejects.toMatchObject({ code: "database/damaged" });
  const file = join(folder, "file");
  await writeFile(file, "");
  await expect(openJobs({ address: file }, { kinds: KINDS })).rejects.toMatchObject({ code: "disk/not-a-folder" });
  await expect(openJobs({ address: "mysql://host" }, { kinds: KINDS })).rejects.toMatchObject({ code: "jobs/bad-address" });
  await expect(openJobs({ address: folder, name: "../x" }, { kinds: KINDS })).rejects.toMatchObject({ code: "jobs/bad-address" });
  await rm(folder, { recursive: true });
});

test("another program that keeps the file locked is waited for, and then named", async () => {
  const folder = await mkdtemp(join(tmpdir(), "jobs-"));
  const jobs = await createJobs(await sqliteShelf(folder, 300), { kinds: KINDS });
  const other = new Database(join(folder, "jobs.sqlite"));
  other.exec("BEGIN IMMEDIATE");
  const waiting = jobs.add(JOB);
  const soon = setTimeout(() => other.exec("COMMIT"), 60);
  expect((await waiting).isNew).toBe(true);
  clearTimeout(soon);
  other.exec("BEGIN IMMEDIATE");
  await expect(jobs.add(JOB)).rejects.toMatchObject({ code: "database/busy" });
  expect((await jobs.list()).jobs).toHaveLength(1); // who only reads is not held up
  other.exec("COMMIT");
  expect((await jobs.add(JOB)).isNew).toBe(true);
  other.close();
  await jobs.close();
  await rm(folder, { recursive: true });
});

test("a package that a queue needs and that is not there is named, with what installs it", async () => {
  const missing = optionalPackage(() => import("no-such-package" as string), "The queue on Redis", "bullmq ioredis");
  await expect(missing).rejects.toMatchObject({ code: "package/not-installed", remedy: "npm install bullmq ioredis" });
});

test("200 jobs of 40 owners: the next one is found quickly", async () => {
  const folder = await mkdtemp(join(tmpdir(), "jobs-"));
  const jobs = await openJobs({ address: folder }, { kinds: KINDS });
  for (let i = 0; i < 200; i++) await jobs.add({ ...JOB, owner: `owner ${i % 40}`, tasks: 4 });
  const owners = new Set<string>();
  const from = performance.now();
  for (let i = 0; i < 40; i++) owners.add((await jobs.claim({ queues: [JOB.queue] }))!.owner);
  console.log(`a claim among 200 jobs took ${((performance.now() - from) / 40).toFixed(1)} ms`);
  expect(owners.size).toBe(40);
  await jobs.close();
  await rm(folder, { recursive: true });
});
