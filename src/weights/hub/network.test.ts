import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connectionFailure, type MemoryHub, memoryHub, stuckAfter } from "../../testing/memory-hub.ts";
import { type DownloadOptions, type DownloadProgress, downloadModel } from "./download-model.ts";

const REPO = "org/name";
const WEIGHTS = Uint8Array.from({ length: 5000 }, (_, i) => (i * 31) % 251);

let hub: MemoryHub;
let cacheDir: string;
let options: DownloadOptions;
let seen: DownloadProgress[];
beforeEach(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), "hub-"));
  hub = memoryHub({ [REPO]: { "weights.safetensors": WEIGHTS } });
  seen = [];
  options = {
    cacheDir,
    env: { HF_TOKEN_PATH: "/nowhere" },
    fetch: hub.fetch,
    policy: { attempts: 4, backoffMs: 2, idleMs: 60_000 },
    onProgress: (progress) => void seen.push(progress),
  };
});
afterEach(() => rm(cacheDir, { recursive: true }));

const isContent = (path: string): boolean => path.includes("/resolve/");
const retries = () => seen.filter(({ phase }) => phase === "retry");
const parts = async (): Promise<string[]> =>
  (await readdir(cacheDir, { recursive: true })).filter((name) => name.includes("incomplete"));

test.each(["ENOTFOUND", "EAI_AGAIN"])("a name without an address (%s) is told at once: nothing is tried again", async (code) => {
  hub.answer = async () => {
    throw connectionFailure(code);
  };
  await expect(downloadModel(REPO, options)).rejects.toMatchObject({
    code: "download/offline",
    message: expect.stringContaining(code),
    remedy: expect.stringMatching(/^Connect to the network/),
  });
  expect(hub.asked).toHaveLength(1);
  expect(retries()).toEqual([]);
});

test("a network that goes away during a download is waited for", async () => {
  let away = 2;
  hub.answer = (path) => {
    if (!isContent(path) || away-- <= 0) return undefined;
    return Promise.reject(connectionFailure("EAI_AGAIN"));
  };
  expect([...(await readFile(await downloadModel(REPO, options)))]).toEqual([...WEIGHTS]);
  const problem = "the connection failed: EAI_AGAIN";
  const file = { phase: "retry", repo: REPO, file: "weights.safetensors", bytes: 0, total: WEIGHTS.length };
  expect(retries()).toEqual([
    { ...file, retry: { problem, waitSeconds: 0.002 } },
    { ...file, retry: { problem, waitSeconds: 0.004 } },
  ]);
});

test("each attempt to ask the hub is told while it happens", async () => {
  hub.answer = async () => {
    throw connectionFailure("ECONNREFUSED");
  };
  await expect(downloadModel(REPO, options)).rejects.toMatchObject({ code: "download/offline" });
  expect(retries()).toHaveLength(3);
  expect(retries()[2]).toEqual({
    ...{ phase: "retry", repo: REPO, bytes: 0, total: 0 },
    retry: { problem: "the connection failed: ECONNREFUSED", waitSeconds: 0.008 },
  });
});

test("a server that cannot show who it is: no waiting, and the certificate is named", async () => {
  hub.answer = async () => {
    throw connectionFailure("SELF_SIGNED_CERT_IN_CHAIN");
  };
  await expect(downloadModel(REPO, options)).rejects.toMatchObject({
    code: "download/untrusted",
    remedy: expect.stringContaining("NODE_EXTRA_CA_CERTS"),
  });
  expect(hub.asked).toHaveLength(1);
});

test.each<[string, DownloadOptions, RegExp]>([
  ["HF_HUB_OFFLINE is set", { env: { HF_HUB_OFFLINE: "1" } }, /^Unset HF_HUB_OFFLINE .*path of a folder/],
  ["offline is true", { offline: true }, /^Leave offline out .*path of a folder/],
])("%s: the remedy is not to connect", async (why, forbidding, remedy) => {
  await expect(downloadModel(REPO, { ...options, ...forbidding })).rejects.toMatchObject({
    code: "download/offline",
    message: expect.stringContaining(why),
    remedy: expect.stringMatching(remedy),
  });
  expect(hub.asked).toEqual([]);
  const path = await downloadModel(REPO, { ...options, env: { HF_HUB_OFFLINE: "1" }, offline: false }); // the caller wins
  expect(await downloadModel(REPO, { ...options, ...forbidding })).toBe(path);
});

/** Stops a download once something has happened, and says how it ended and how long that took. */
async function stoppedWhen(happened: () => boolean): Promise<{ ended: unknown; ms: number }> {
  const stop = new AbortController();
  const ended = downloadModel(REPO, { ...options, signal: stop.signal }).catch((error: unknown) => error);
  await expect.poll(happened, { interval: 1 }).toBe(true);
  const start = performance.now();
  stop.abort();
  return { ended: await ended, ms: performance.now() - start };
}
const INTERRUPTED = { code: "download/interrupted", remedy: expect.stringContaining("goes on where it ended") };

test.each(["/revision/", "/tree/", "/resolve/"])("stopped while a fetch that obeys no signal is silent at %s", async (at) => {
  hub.answer = (path) => (path.includes(at) ? new Promise(() => {}) : undefined);
  const { ended, ms } = await stoppedWhen(() => hub.asked.at(-1)?.includes(at) === true);
  expect(ended).toMatchObject(INTERRUPTED);
  expect(ms).toBeLessThan(1000);
  expect(await parts()).toEqual([]);
});

test("stopped while a body that obeys no signal is silent: what has arrived is gone on with", async () => {
  hub.answer = (path) => (isContent(path) ? Promise.resolve(stuckAfter(WEIGHTS.subarray(0, 2000), WEIGHTS.length)) : undefined);
  const { ended, ms } = await stoppedWhen(() => seen.at(-1)?.bytes === 2000);
  expect(ended).toMatchObject(INTERRUPTED);
  expect(ms).toBeLessThan(1000);
  expect(await parts()).toHaveLength(1);

  hub.answer = () => undefined;
  expect([...(await readFile(await downloadModel(REPO, options)))]).toEqual([...WEIGHTS]);
  expect(hub.asked.at(-1)).toMatch(/weights.safetensors bytes=2000-$/);
  expect(await parts()).toEqual([]);
});

test("stopped while it waits before another attempt, and while another process downloads", async () => {
  options = { ...options, policy: { attempts: 4, backoffMs: 60_000, idleMs: 60_000 } };
  hub.answer = async () => new Response("", { status: 503 });
  const attempt = await stoppedWhen(() => retries().length === 1);
  expect(attempt.ended).toMatchObject(INTERRUPTED);
  expect(attempt.ms).toBeLessThan(1000);

  hub.answer = () => undefined;
  const blobs = join(cacheDir, "models--org--name", "blobs");
  await mkdir(blobs, { recursive: true });
  const oid = createHash("sha256").update(WEIGHTS).digest("hex");
  // the parent lives, and is not this process
  await writeFile(join(blobs, `${oid}.${process.ppid}_x@${hostname()}.photomaker.incomplete`), WEIGHTS.subarray(0, 10));
  const waiting = await stoppedWhen(() => seen.at(-1)?.phase === "wait");
  expect(waiting.ended).toMatchObject(INTERRUPTED);
  expect(waiting.ms).toBeLessThan(1000);
});

test("a signal that was aborted before asks the hub nothing", async () => {
  await expect(downloadModel(REPO, { ...options, signal: AbortSignal.abort() })).rejects.toMatchObject(INTERRUPTED);
  expect(hub.asked).toEqual([]);
});
