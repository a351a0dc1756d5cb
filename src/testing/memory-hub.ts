import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, sep } from "node:path";

/** A hub in memory that records its requests. */
export interface MemoryHub {
  readonly fetch: typeof fetch;
  /** Paths of the requests, in order, with the ranges of those that have one. */
  readonly asked: string[];
  /** Overrides the answer to a request, unless it returns undefined. */
  answer: (path: string, init: RequestInit) => Promise<Response> | undefined;
}

type Files = Readonly<Record<string, Uint8Array<ArrayBuffer>>>;

/** @param repos files by `org/name` and path */
export function memoryHub(repos: Readonly<Record<string, Files>>): MemoryHub {
  const asked: string[] = [];
  const hub: MemoryHub = {
    asked,
    answer: () => undefined,
    async fetch(input, init = {}) {
      const path = decodeURIComponent(new URL(String(input)).pathname).slice(1);
      const range = new Headers(init.headers).get("range");
      asked.push(range === null ? path : `${path} ${range}`);
      return (await hub.answer(path, init)) ?? respond(repos, path, range);
    },
  };
  return hub;
}

/** The only commit of every repository. */
export const MEMORY_COMMIT = "c".repeat(40);

function respond(repos: Readonly<Record<string, Files>>, path: string, range: string | null): Response {
  const [, repo = "", what, rest = ""] =
    /^(?:api\/models\/)?([^/]+\/[^/]+)\/(revision|tree|resolve)\/[^/]+\/?(.*)$/.exec(path) ?? [];
  const files = repos[repo];
  if (files === undefined) return Response.json({ error: "Repository not found" }, { status: 404 });
  if (what === "revision") return Response.json({ _id: "1", id: repo, sha: MEMORY_COMMIT });
  if (what === "tree")
    return Response.json(
      Object.entries(files).map(([path, data]) => ({ type: "file", path, size: data.length, ...names(data) })),
    );
  const data = files[rest];
  if (data === undefined) return Response.json({ error: "Entry not found" }, { status: 404 });
  const start = Number(/bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0);
  const headers = { "content-length": String(data.length - start) };
  if (start === 0) return new Response(data, { headers });
  return new Response(data.subarray(start), {
    status: 206,
    headers: { ...headers, "content-range": `bytes ${start}-${data.length - 1}/${data.length}` },
  });
}

const names = (data: Uint8Array): object => {
  const oid = createHash("sha256").update(data).digest("hex");
  return { oid: "0".repeat(40), lfs: { oid, size: data.length, pointerSize: 130 } };
};

/** Reads the files of a folder, or one file, by their paths in a repository. */
export async function repositoryFiles(path: string): Promise<Files> {
  if ((await stat(path)).isFile()) return { [path.split(sep).at(-1)!]: await bytesOf(path) };
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  return Object.fromEntries(
    await Promise.all(
      files.map(async (file) => [
        file
          .slice(path.length + 1)
          .split(sep)
          .join("/"),
        await bytesOf(file),
      ]),
    ),
  );
}

const bytesOf = async (path: string): Promise<Uint8Array<ArrayBuffer>> => Uint8Array.from(await readFile(path));

/** A response that sends these bytes, then hangs and ignores any signal. */
export const stuckAfter = (bytes: Uint8Array, length: number): Response =>
  new Response(new ReadableStream({ start: (controller) => controller.enqueue(bytes) }), {
    headers: { "content-length": String(length) },
  });

/** The error of a request that fails with a system error code. */
export const connectionFailure = (code: string): TypeError =>
  new TypeError("fetch failed", { cause: Object.assign(new Error(`${code} hub`), { code }) });
