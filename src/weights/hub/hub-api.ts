import { UserError } from "../../core/errors.ts";
import { untilAborted } from "../../core/until-aborted.ts";
import { type Connection, isUnresolved, isUntrusted, request } from "./hub-http.ts";
import { isInside } from "./hub-id.ts";
import { withRetries } from "./retry.ts";

/** A file of a repository. */
export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** Names the content, and the blob in the cache: SHA-256 for large files, else git's SHA-1. */
  readonly oid: string;
}

/**
 * The commit that a revision stands for.
 * @throws UserError download/bad-answer, and those of request
 */
export async function commitOf(revision: string, connection: Connection): Promise<string> {
  if (/^[0-9a-f]{40}$/.test(revision)) return revision;
  const { modelInfo } = await import("@huggingface/hub");
  const { endpoint, repo } = connection;
  const info = await modelInfo({ name: repo, revision, hubUrl: endpoint, additionalFields: ["sha"], fetch: api(connection) });
  if (typeof info.sha !== "string" || !/^[0-9a-f]{40}$/.test(info.sha)) throw badAnswer(repo, "it names no commit");
  return info.sha;
}

/**
 * All files of a commit.
 * @throws UserError download/bad-answer, and those of request
 */
export async function filesOf(commit: string, connection: Connection): Promise<HubFile[]> {
  const { listFiles } = await import("@huggingface/hub");
  const { endpoint, repo } = connection;
  const files: HubFile[] = [];
  const entries = listFiles({ repo, revision: commit, recursive: true, hubUrl: endpoint, fetch: api(connection) });
  for await (const { type, path, size, oid, lfs } of entries) {
    if (type !== "file") continue;
    const name = lfs?.oid ?? oid;
    if (!isInside(path) || !/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(name ?? "") || !Number.isSafeInteger(lfs?.size ?? size))
      throw badAnswer(repo, `it lists "${path}" without a usable name, size or checksum`);
    files.push({ path, size: lfs?.size ?? size, oid: name! });
  }
  return files;
}

/** The address of a file's content. */
export const addressOf = ({ path }: HubFile, commit: string, { endpoint, repo }: Connection): string =>
  `${endpoint}/${repo}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;

/**
 * fetch for the library: retried until the whole answer is there. It is what the hub is asked first, so a name without an address
 * means that there is no network, and is no reason to wait.
 */
const api =
  (connection: Connection): typeof fetch =>
  (url) =>
    withRetries(
      () =>
        request(String(url), { accept: "application/json" }, connection, async (response, _, stopped) => {
          const text = await untilAborted(response.text(), stopped);
          return new Response(text, { status: response.status, headers: response.headers });
        }),
      connection,
      { isFinal: (error) => isUnresolved(error) || isUntrusted(error) },
    ).then((response) => checkedJson(response, connection.repo));

async function checkedJson(response: Response, repo: string): Promise<Response> {
  try {
    await response.clone().json();
  } catch {
    throw badAnswer(repo, "it is not JSON");
  }
  return response;
}

const badAnswer = (repo: string, why: string): UserError =>
  new UserError(
    "download/bad-answer",
    `The hub's answer about ${repo} cannot be understood: ${why}.`,
    "Check HF_ENDPOINT and the network: a proxy or a login page may answer in the hub's place.",
  );
