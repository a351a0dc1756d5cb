import { createHash } from "node:crypto";
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type DownloadOptions, type DownloadProgress, downloadModel, findCached } from "./download-model.ts";
import { resolveHubOrPath } from "./resolve-hub-or-path.ts";

const REPO = "TencentARC/PhotoMaker";
const COMMIT = "a".repeat(40);
const BIG = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251));

/** A hub with one repository. `answer` may take over a request; true means that it did. */
let files: Record<string, Buffer>;
let answer: (request: IncomingMessage, response: ServerResponse) => boolean;
let commit: string;
let asked: { url: string; range: string | undefined; token: string | undefined }[];
let server: Server;
let cacheDir: string;
let options: DownloadOptions;

beforeEach(async () => {
  files = { "photomaker-v1.bin": BIG, "README.md": Buffer.from("read me") };
  answer = () => false;
  commit = COMMIT;
  asked = [];
  server = createServer(serve);
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  cacheDir = await mkdtemp(join(tmpdir(), "hub-"));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  options = { endpoint, cacheDir, env: { HF_TOKEN_PATH: "/nowhere" }, policy: { attempts: 3, backoffMs: 1, idleMs: 60_000 } };
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
  await rm(cacheDir, { recursive: true });
});

const oid = (name: string, data: Buffer): { oid: string; lfs?: { oid: string; size: number; pointerSize: number } } => {
  const git = createHash("sha1").update(`blob ${data.length}\0`).update(data).digest("hex");
  if (!/\.(bin|safetensors)$/.test(name)) return { oid: git };
  const sha256 = createHash("sha256").update(data).digest("hex");
  return { oid: git, lfs: { oid: sha256, size: data.length, pointerSize: 130 } };
};

function serve(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url!, "http://hub");
  asked.push({ url: url.pathname, range: request.headers.range, token: request.headers.authorization });
  if (!answer(request, response)) respond(request, response, url);
}

function respond(request: IncomingMessage, response: ServerResponse, url: URL): void {
  const data = files[decodeURIComponent(url.pathname.slice(`/${REPO}/resolve/${commit}/`.length))];
  if (url.pathname.startsWith(`/api/models/${REPO}/revision/`)) json(response, { _id: "1", id: REPO, sha: commit });
  else if (url.pathname === `/api/models/${REPO}/tree/${commit}`) {
    const all = Object.entries(files).map(([path, data]) => ({ type: "file", path, size: data.length, ...oid(path, data) }));
    const page = Number(url.searchParams.get("page") ?? 0);
    if (page + 1 < all.length) response.setHeader("link", `<${options.endpoint}${url.pathname}?page=${page + 1}>; rel="next"`);
    json(response, all.slice(page, page + 1));
  } else if (data === undefined) json(response, { error: "Repository not found" }, 404);
  else sendFile(request, response, data);
}

function json(response: ServerResponse, value: unknown, status = 200, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
}

function sendFile(request: IncomingMessage, response: ServerResponse, data: Buffer): void {
  const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
  const range = start > 0 ? { "content-range": `bytes ${start}-${data.length - 1}/${data.length}` } : {};
  response.writeHead(start > 0 ? 206 : 200, { "content-length": data.length - start, ...range });
  response.end(data.subarray(start));
}

/** Sends what lies before `end` and keeps the connection open. */
function sendUntil(end: number, request: IncomingMessage, response: ServerResponse, data: Buffer): void {
  const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
  const range = start > 0 ? { "content-range": `bytes ${start}-${data.length - 1}/${data.length}` } : {};
  response.writeHead(start > 0 ? 206 : 200, { "content-length": data.length - start, ...range });
  response.write(data.subarray(start, end));
}

const isContent = (request: IncomingMessage): boolean => request.url!.includes("/resolve/");
const ranges = (): (string | undefined)[] => asked.filter(({ url }) => url.includes("/resolve/")).map(({ range }) => range);
const leftOver = async (): Promise<string[]> => {
  const names = await readdir(cacheDir, { recursive: true });
  return names.filter((name) => name.includes("incomplete") || /\/\.[^/]*$/.test(name));
};
const repoFolder = () => join(cacheDir, "models--TencentARC--PhotoMaker");

test("the needed file arrives in the layout of the official cache", async () => {
  const seen: DownloadProgress[] = [];
  const path = await downloadModel(REPO, { ...options, onProgress: (progress) => seen.push(progress) });
  expect(path).toBe(join(repoFolder(), "snapshots", COMMIT, "photomaker-v1.bin"));
  expect((await readFile(path)).equals(BIG)).toBe(true);
  expect(await readlink(path)).toBe(join("..", "..", "blobs", oid("x.bin", BIG).lfs!.oid));
  expect(await readFile(join(repoFolder(), "refs", "main"), "utf8")).toBe(COMMIT);
  expect(seen.at(-1)).toEqual({ phase: "download", repo: REPO, file: "photomaker-v1.bin", bytes: BIG.length, total: BIG.length });
  expect(seen.map(({ phase }) => phase)).toContain("verify");
  expect(await leftOver()).toEqual([]);
});

test("nothing is fetched twice: neither what we fetched nor what the official client did", async () => {
  const path = await downloadModel(REPO, options);
  asked = [];
  expect(await resolveHubOrPath(REPO, options)).toBe(path);
  expect(asked).toEqual([]);
  expect(await downloadModel(REPO, options)).toBe(path);
  expect(ranges()).toEqual([]);

  await rm(repoFolder(), { recursive: true });
  const { oid: blob } = oid("x.bin", BIG).lfs!;
  const snapshot = join(repoFolder(), "snapshots", COMMIT);
  for (const folder of ["blobs", "refs"]) await mkdir(join(repoFolder(), folder), { recursive: true });
  await mkdir(snapshot, { recursive: true });
  await writeFile(join(repoFolder(), "blobs", blob), BIG);
  await writeFile(join(repoFolder(), "refs", "main"), COMMIT);
  await symlink(`../../blobs/${blob}`, join(snapshot, "photomaker-v1.bin"));
  expect(await findCached({ repo: REPO }, options)).toBe(path);
  await rm(path);
  await downloadModel(REPO, options); // the blob alone is enough
  expect((await lstat(path)).isSymbolicLink()).toBe(true);
  expect(ranges()).toEqual([]);
});

test("a cut connection is gone on with, however often, as long as bytes arrive", async () => {
  const ends = [40_000, 80_000, 120_000, 160_000];
  let open: ServerResponse;
  answer = (request, response) => {
    if (!isContent(request) || ends.length === 0) return false;
    open = response;
    sendUntil(ends[0]!, request, response, BIG);
    return true;
  };
  // a cut loses what has arrived and is not read yet: it comes when all of it is on the disk
  const onProgress = ({ phase, bytes }: DownloadProgress): void => {
    if (phase !== "download" || bytes !== ends[0]) return;
    ends.shift();
    open.destroy();
  };
  const path = await downloadModel(REPO, { ...options, onProgress });
  expect((await readFile(path)).equals(BIG)).toBe(true);
  expect(ranges()).toEqual([undefined, "bytes=40000-", "bytes=80000-", "bytes=120000-", "bytes=160000-"]);
});

test("an interrupted download goes on in the next run", async () => {
  const stop = new AbortController();
  answer = (request, response) => {
    if (!isContent(request)) return false;
    sendUntil(100_000, request, response, BIG);
    return true;
  };
  const onProgress = ({ bytes }: DownloadProgress): void => {
    if (bytes === 100_000) stop.abort();
  };
  await expect(downloadModel(REPO, { ...options, signal: stop.signal, onProgress })).rejects.toMatchObject({
    code: "download/interrupted",
    remedy: expect.stringContaining("goes on"),
  });
  expect(await leftOver()).toHaveLength(1);
  expect(await findCached({ repo: REPO }, options)).toBeUndefined();

  answer = () => false;
  asked = [];
  const path = await downloadModel(REPO, options);
  expect(ranges()).toEqual(["bytes=100000-"]);
  expect((await readFile(path)).equals(BIG)).toBe(true);
  expect(await leftOver()).toEqual([]);
});

test("a component alone comes with its config and is found again", async () => {
  files = { "config.json": Buffer.from("{}"), "diffusion_pytorch_model.safetensors": BIG, "decoder.safetensors": BIG };
  const path = await downloadModel(REPO, options);
  expect((await readdir(path)).sort()).toEqual(["config.json", "diffusion_pytorch_model.safetensors"]);
  asked = [];
  expect(await resolveHubOrPath(REPO, options)).toBe(path);
  expect(asked).toEqual([]);
});

/** Leaves a part behind, as an interrupted run does. */
async function leavePart(data: Buffer): Promise<void> {
  await mkdir(join(repoFolder(), "blobs"), { recursive: true });
  await writeFile(join(repoFolder(), "blobs", `${oid("x.bin", BIG).lfs!.oid}.photomaker.incomplete`), data);
}

test("a server that ignores ranges, or cannot serve this one, sends everything again", async () => {
  await leavePart(BIG.subarray(0, 1000));
  answer = (request) => {
    delete request.headers.range;
    return false;
  };
  expect((await readFile(await downloadModel(REPO, options))).equals(BIG)).toBe(true);

  await rm(repoFolder(), { recursive: true });
  await leavePart(BIG.subarray(0, 1000));
  answer = (request, response) => {
    if (!isContent(request) || request.headers.range === undefined) return false;
    response.writeHead(416).end();
    return true;
  };
  expect((await readFile(await downloadModel(REPO, options))).equals(BIG)).toBe(true);
});

test("a part of a file that has changed on the hub since is not gone on with", async () => {
  await leavePart(BIG.subarray(0, 1000));
  files["photomaker-v1.bin"] = Buffer.from(BIG.map((byte) => byte ^ 1));
  commit = "b".repeat(40);
  const path = await downloadModel(REPO, options);
  expect(ranges()).toEqual([undefined]);
  expect((await readFile(path)).equals(files["photomaker-v1.bin"])).toBe(true);
});

test.each([
  ["from the server", false],
  ["in the part that was there", true],
])("wrong bytes %s are refused and removed", async (_, inPart) => {
  const wrong = Buffer.from(BIG);
  wrong[500] = wrong[500]! ^ 1;
  if (inPart) await leavePart(wrong.subarray(0, 1000));
  else
    answer = (request, response) => {
      if (isContent(request)) sendFile(request, response, wrong);
      return isContent(request);
    };
  await expect(downloadModel(REPO, options)).rejects.toMatchObject({ name: "UserError", code: "download/checksum" });
  expect(await leftOver()).toEqual([]);
  expect(await readdir(join(repoFolder(), "blobs"))).toEqual([]);
  answer = () => false;
  expect((await readFile(await downloadModel(REPO, options))).equals(BIG)).toBe(true);
});

test("wrong bytes of a small file are seen by git's checksum", async () => {
  answer = (request, response) => {
    if (isContent(request)) sendFile(request, response, Buffer.from("read mo"));
    return isContent(request);
  };
  await expect(downloadModel(`${REPO}:README.md`, options)).rejects.toMatchObject({ code: "download/checksum" });
});

test("a file of another size than the hub lists is refused", async () => {
  answer = (request, response) => {
    if (isContent(request)) sendFile(request, response, BIG.subarray(0, 100));
    return isContent(request);
  };
  await expect(downloadModel(REPO, options)).rejects.toMatchObject({ code: "download/checksum" });
});

test.each([500, 503, 429, 408])("status %d passes", async (status) => {
  let left = 2;
  answer = (_, response) => {
    if (left-- <= 0) return false;
    response.writeHead(status, { "retry-after": "0" }).end("no");
    return true;
  };
  expect((await readFile(await downloadModel(REPO, options))).equals(BIG)).toBe(true);
});

test("a connection that says nothing is given up and tried again", async () => {
  let silent = 1;
  answer = (request) => isContent(request) && silent-- > 0;
  // on a busy machine an honest answer, too, may take longer than this: then it is tried again
  const policy = { attempts: 12, backoffMs: 1, idleMs: 200 };
  expect((await readFile(await downloadModel(REPO, { ...options, policy }))).equals(BIG)).toBe(true);
  expect(ranges().length).toBeGreaterThan(1);
});

const refusing =
  (status: number, headers: Record<string, string>, error = "no"): typeof answer =>
  (_, response) => {
    json(response, { error }, status, headers);
    return true;
  };

test.each([
  [
    "download/gated",
    /Accept them at https:\/\/huggingface.co\/TencentARC\/PhotoMaker/,
    refusing(403, { "x-error-code": "GatedRepo" }),
  ],
  ["download/gated", /HF_TOKEN/, refusing(401, { "x-error-code": "GatedRepo" })],
  ["download/denied", /HF_TOKEN/, refusing(401, {}, "Invalid username or password.")],
  ["download/denied", /HF_TOKEN/, refusing(403, {})],
  ["download/not-found", /models\.$/, refusing(404, { "x-error-code": "RepoNotFound" })],
  ["download/not-found", /tree\/main/, refusing(404, { "x-error-code": "RevisionNotFound" })],
  ["download/refused", /by hand/, refusing(400, {})],
  ["download/server", /Run it again/, refusing(503, {})],
  ["download/bad-answer", /proxy/, (_: IncomingMessage, response: ServerResponse) => Boolean(response.end("<html>login</html>"))],
] as const)("%s: %s", async (code, remedy, refuse) => {
  answer = refuse;
  await expect(downloadModel(REPO, options)).rejects.toMatchObject({
    name: "UserError",
    code,
    remedy: expect.stringMatching(remedy),
  });
});

test("without a hub: what to do by hand, and what is in the cache still opens", async () => {
  const gone = createServer();
  await new Promise<void>((ready) => gone.listen(0, "127.0.0.1", ready));
  const away = { ...options, endpoint: `http://127.0.0.1:${(gone.address() as AddressInfo).port}` };
  await new Promise((closed) => gone.close(closed));
  await expect(downloadModel(REPO, away)).rejects.toMatchObject({
    code: "download/offline",
    remedy: expect.stringContaining("by hand"),
  });
  const path = await downloadModel(REPO, options);
  const offline = { ...away, env: { HF_HUB_OFFLINE: "1" } };
  expect(await downloadModel(REPO, offline)).toBe(path);
  expect(await resolveHubOrPath(REPO, away)).toBe(path);
  await expect(downloadModel("other/one", offline)).rejects.toMatchObject({
    code: "download/offline",
    message: expect.stringContaining("HF_HUB_OFFLINE"),
  });
});

test("the token is sent, and not to another host", async () => {
  const other = createServer((request, response) => {
    elsewhere.push(request.headers.authorization);
    sendFile(request, response, BIG);
  });
  const elsewhere: (string | undefined)[] = [];
  await new Promise<void>((ready) => other.listen(0, "127.0.0.1", ready));
  answer = (request, response) => {
    if (isContent(request))
      response.writeHead(302, { location: `http://localhost:${(other.address() as AddressInfo).port}/x` }).end();
    return isContent(request);
  };
  await downloadModel(REPO, { ...options, token: "hf_secret" });
  expect(asked.every(({ token }) => token === "Bearer hf_secret")).toBe(true);
  expect(elsewhere).toEqual([undefined]);
  other.closeAllConnections();
  await new Promise((closed) => other.close(closed));
});

test("two downloads at once fetch each content once and give the same whole file", async () => {
  files = { ...files, "twin.bin": BIG };
  const id = `${REPO}:photomaker-v1.bin`;
  const [one, two] = await Promise.all([downloadModel(id, options), downloadModel(`${REPO}:twin.bin`, options)]);
  expect((await readFile(one)).equals(BIG) && (await readFile(two)).equals(BIG)).toBe(true);
  expect(ranges()).toHaveLength(1);
  expect(await leftOver()).toEqual([]);
});

test("a disk without room is seen before the download, and a disk that fills up during it", async () => {
  answer = (request, response) => {
    if (!request.url!.includes("/tree/")) return false;
    json(response, [{ type: "file", path: "photomaker-v1.bin", size: 2 ** 52, oid: "c".repeat(40) }]);
    return true;
  };
  await expect(downloadModel(REPO, options)).rejects.toMatchObject({ code: "disk/full", message: expect.stringContaining("GB") });
  expect(ranges()).toEqual([]);
});

test.runIf(process.platform === "linux")("a disk that fills up", async () => {
  await mkdir(join(repoFolder(), "blobs"), { recursive: true });
  await symlink("/dev/full", join(repoFolder(), "blobs", `${oid("x.bin", BIG).lfs!.oid}.photomaker.incomplete`));
  await expect(downloadModel(REPO, options)).rejects.toMatchObject({
    code: "disk/full",
    remedy: expect.stringContaining("goes on"),
  });
});

test.each([
  ["../../evil.bin", "0".repeat(40)],
  ["evil.bin", "../../evil"],
])("a listing that points out of the cache is refused: %s %s", async (path, name) => {
  answer = (request, response) => {
    if (!request.url!.includes("/tree/")) return false;
    json(response, [{ type: "file", path, size: 4, oid: name }]);
    return true;
  };
  await expect(downloadModel(REPO, options)).rejects.toMatchObject({ code: "download/bad-answer" });
});

test("a path that exists wins over an id, and what is neither is told", async () => {
  expect(await resolveHubOrPath(cacheDir, options)).toBe(cacheDir);
  await expect(resolveHubOrPath("./nothing.safetensors", options)).rejects.toMatchObject({ code: "path/missing" });
  answer = refusing(404, { "x-error-code": "RepoNotFound" });
  await expect(resolveHubOrPath("models/sdxl", options)).rejects.toMatchObject({
    code: "download/not-found",
    message: expect.stringMatching(/no file or folder "models\/sdxl" here.*has no models\/sdxl/),
  });
  await expect(downloadModel("sdxl", options)).rejects.toMatchObject({ code: "download/bad-id" });
});
