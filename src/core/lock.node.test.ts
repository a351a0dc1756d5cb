import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { withLock } from "./lock.node.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lock-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** A lock that is held until it is told to end. */
async function held(path: string) {
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  let done = Promise.resolve();
  await new Promise<void>((begin) => {
    done = withLock(path, {}, () => {
      begin();
      return ended;
    });
  });
  return () => {
    end();
    return done;
  };
}

test("one works at a time, and nothing is left", async () => {
  let [atWork, most] = [0, 0];
  const work = async (i: number): Promise<number> => {
    most = Math.max(most, ++atWork);
    await new Promise((resolve) => setTimeout(resolve, 20));
    atWork--;
    return i;
  };
  const path = join(folder, "model");
  const all = Array.from({ length: 5 }, (_, i) => withLock(path, { pollMs: 5 }, () => work(i)));
  expect(await Promise.all(all)).toEqual([0, 1, 2, 3, 4]);
  expect(most).toBe(1);
  await expect(withLock(path, {}, () => Promise.reject(new Error("it failed")))).rejects.toThrow("it failed");
  expect(await readdir(folder)).toEqual([]);
});

test("a signal ends the waiting at once, and takes no one's place", async () => {
  const path = join(folder, "model");
  const release = await held(path);
  const cancel = new AbortController();
  let begun = false;
  const waiting = withLock(
    path,
    { signal: cancel.signal, pollMs: 3_600_000, onWait: () => setTimeout(() => cancel.abort(new Error("enough")), 10) },
    async () => {
      begun = true;
    },
  );
  await expect(waiting).rejects.toThrow("enough");
  expect(begun).toBe(false);
  expect(await readdir(folder)).toHaveLength(1);
  await release();
  expect(await readdir(folder)).toEqual([]);
  await expect(withLock(path, { signal: AbortSignal.abort() }, async () => 1)).rejects.toMatchObject({ name: "AbortError" });
});

const HOUR = 3600;
const ago = (seconds: number): Date => new Date(Date.now() - seconds * 1000);

test.each([
  ["a process that was killed", () => `${spawnSync("true").pid}_0a@${hostname()}`, 0],
  ["a process whose number another one has by now", () => `${process.pid}_0a@${hostname()}`, HOUR],
  ["another machine that is gone", () => "1_0a@elsewhere", HOUR],
])("what %s left holds nobody up", async (_, holder, age) => {
  const left = join(folder, `model.${holder()}.lock`);
  await writeFile(left, "");
  await utimes(left, ago(age), ago(age));
  expect(await withLock(join(folder, "model"), { signal: AbortSignal.timeout(5000) }, async () => "worked")).toBe("worked");
  expect(await readdir(folder)).toEqual([]);
});

test("another machine at work is waited for", async () => {
  await writeFile(join(folder, "model.1_0a@elsewhere.lock"), "");
  let waits = 0;
  const waiting = withLock(
    join(folder, "model"),
    { signal: AbortSignal.timeout(100), pollMs: 10, onWait: () => waits++ },
    async () => 1,
  );
  await expect(waiting).rejects.toMatchObject({ name: "TimeoutError" });
  expect(waits).toBe(1);
});

test("a folder that may not be written is told as when files are written: disk/no-folder", async () => {
  await writeFile(join(folder, "file"), "");
  await expect(withLock(join(folder, "none", "model"), {}, async () => 1)).rejects.toMatchObject({ code: "disk/no-folder" });
});
