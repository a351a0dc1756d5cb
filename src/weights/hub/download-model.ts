import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { asDiskError } from "../../core/atomic-file.node.ts";
import { messageOf, UserError } from "../../core/errors.ts";
import { gigabytes } from "../../core/gigabytes.ts";
import { makeFolder } from "../../core/make-folder.node.ts";
import type { ComponentName } from "../sdxl-single-file.ts";
import { type ChosenFiles, chooseFiles } from "./choose-files.ts";
import { fetchFile } from "./fetch-file.ts";
import { addressOf, commitOf, filesOf, type HubFile } from "./hub-api.ts";
import { RepoCache } from "./hub-cache.ts";
import { type Connection, isUnreachable, isUntrusted } from "./hub-http.ts";
import { type HubId, parseHubId } from "./hub-id.ts";
import { type Environment, type HubSettings, hubSettings } from "./hub-settings.ts";
import { claimPartial, partialSize } from "./partial-file.ts";
import { PATIENT, type Retry, type RetryPolicy, Transient } from "./retry.ts";
import { isIntact } from "./verify-file.ts";

export interface DownloadProgress {
  /** `wait`: another process is downloading the same file. `retry`: a request failed and will be made again. */
  readonly phase: "download" | "verify" | "wait" | "retry";
  /** Such as `org/name`. */
  readonly repo: string;
  /** Absent from a `retry` of the question what the repository has. */
  readonly file?: string;
  /** Of all files together, with what was there before; 0 while it is not known. */
  readonly bytes: number;
  readonly total: number;
  /** Of a `retry`. */
  readonly retry?: Retry;
}

/** Where the hub is, what may be asked of it, and how. What is absent follows from the environment, as in the official client. */
export interface HubOptions {
  /** The address of the hub or of a mirror. HF_ENDPOINT when absent. */
  readonly endpoint?: string | undefined;
  /** The cache that Hugging Face programs share. HF_HUB_CACHE, or HF_HOME's, when absent. */
  readonly cacheDir?: string | undefined;
  /** HF_TOKEN, or the one of `hf auth login`, when absent. */
  readonly token?: string | undefined;
  /** Whether only what is in the cache may be used. HF_HUB_OFFLINE when absent. */
  readonly offline?: boolean | undefined;
  /** Makes the requests, in place of the global fetch. */
  readonly fetch?: typeof fetch | undefined;
  readonly policy?: RetryPolicy | undefined;
  /** In place of the process's own. */
  readonly env?: Environment | undefined;
  /** Ends a download at once; what has arrived stays, and the next one goes on from there. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
}

export interface DownloadOptions extends HubOptions {
  /** Overridden by a revision in the id. Default: main. */
  readonly revision?: string | undefined;
  /** Such as "fp16": which form of the weights to take where there are several. */
  readonly variant?: string | undefined;
  /** The only part of a model that is wanted. */
  readonly part?: ComponentName | undefined;
  /** Parts of a model that are not wanted, since others are used in their place. */
  readonly without?: readonly ComponentName[] | undefined;
  /** Which files of the repository to take, instead of those that are needed to open it. */
  readonly files?: ((path: string) => boolean) | undefined;
}

const CONCURRENCY = 3;

/**
 * Brings a repository of the hub into the cache that all Hugging Face programs share, and checks every file that it
 * brings against the hub's checksum. What is there already is used; what was interrupted goes on where it ended. A
 * file appears under its name only when it is whole.
 *
 * @param id `org/name`, `org/name@revision`, `org/name:file`
 * @returns the folder, or the file where the id or the repository has only one
 * @throws UserError download/bad-id, download/gated, download/denied, download/not-found, download/refused,
 *   download/offline, download/untrusted, download/server, download/interrupted, download/checksum, disk/full, and those of chooseFiles
 */
export async function downloadModel(id: string, options: DownloadOptions = {}): Promise<string> {
  const parsed = parseHubId(id);
  if (parsed === undefined)
    throw new UserError(
      "download/bad-id",
      `"${id}" is not the name of a repository.`,
      "Give org/name, org/name@revision or org/name:file.",
    );
  const wanted: HubId = { ...parsed, revision: parsed.revision ?? options.revision ?? "main" };
  const settings = await hubSettings(options, options.env);
  if (settings.offline) {
    const cached = await findCached(wanted, options);
    if (cached !== undefined) return cached;
    throw forbidden(id, wanted, settings, options.offline === true);
  }
  const retrying = (retry: Retry, file?: string): void =>
    options.onProgress?.({ phase: "retry", repo: wanted.repo, ...(file !== undefined && { file }), bytes: 0, total: 0, retry });
  const connection: Connection = {
    endpoint: settings.endpoint,
    repo: wanted.repo,
    token: settings.token,
    signal: options.signal,
    policy: options.policy ?? PATIENT,
    fetch: options.fetch ?? fetch,
    onRetry: retrying,
  };
  try {
    options.signal?.throwIfAborted();
    return await download(wanted, settings, connection, options);
  } catch (error) {
    throw explain(error, id, wanted, settings, options.signal);
  }
}

/**
 * What the cache holds of a repository, without asking the hub; undefined unless it is complete.
 */
export async function findCached(id: HubId, options: DownloadOptions = {}): Promise<string | undefined> {
  const { cacheDir, offline: anyForm } = await hubSettings(options, options.env);
  const cache = new RepoCache(cacheDir, id.repo);
  const commit = await cache.commitOf(id.revision ?? options.revision ?? "main");
  if (commit === undefined) return undefined;
  const paths = await cache.filesOf(commit);
  let chosen: ChosenFiles;
  try {
    chosen = chooseFiles(paths, id, options);
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
  if (chosen.open === "" && !anyForm && !isWhole(chosen.files, options.variant)) return undefined;
  return join(cache.snapshot(commit), chosen.open);
}

/** Whether nothing is missing that nearly every model has: what another program fetched may be a part only. */
const isWhole = (files: readonly string[], variant: string | undefined): boolean =>
  (!files.includes("model_index.json") ||
    ["tokenizer/", "tokenizer_2/", "scheduler/"].every((folder) => files.some((path) => path.startsWith(folder)))) &&
  (variant === undefined || files.some((path) => path.includes(`.${variant}`)));

async function download(id: HubId, settings: HubSettings, connection: Connection, options: DownloadOptions): Promise<string> {
  const cache = new RepoCache(settings.cacheDir, id.repo);
  const revision = id.revision ?? "main";
  const commit = await commitOf(revision, connection);
  const listed = await filesOf(commit, connection);
  const paths = listed.map(({ path }) => path);
  const chosen = options.files ? { files: paths.filter(options.files), open: "" } : chooseFiles(paths, id, options);
  const files = listed.filter(({ path }) => chosen.files.includes(path));

  await makeFolder(cache.blobs);
  const present = await Promise.all(files.map((file) => cache.has(commit, file)));
  const blobs = groupByContent(files.filter((_, i) => !present[i]));
  const tally = new Tally(id.repo, files, blobs, options.onProgress);
  await checkRoom(cache.blobs, blobs);
  await eachOf([...blobs.values()], connection.signal, (group, signal) =>
    bring(group, commit, cache, { ...connection, signal }, tally),
  );
  await cache.remember(revision, commit);
  return join(cache.snapshot(commit), chosen.open);
}

type Group = readonly [HubFile, ...HubFile[]];

/** The same content is often there twice, as the vocabulary of both tokenizers is. */
function groupByContent(files: readonly HubFile[]): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const file of files) {
    const group = groups.get(file.oid);
    groups.set(file.oid, group ? [...group, file] : [file]);
  }
  return groups;
}

async function bring(group: Group, commit: string, cache: RepoCache, connection: Connection, tally: Tally): Promise<void> {
  const [file] = group;
  const { signal } = connection;
  const part = await claimPartial(cache.blobs, file.oid, { signal, onWait: () => tally.report("wait", file) });
  if (part !== undefined) {
    let wrong = false;
    const told = { ...connection, onRetry: (retry: Retry) => tally.report("retry", file, undefined, retry) };
    try {
      await fetchFile(addressOf(file, commit, connection), part.path, file.size, told, (bytes) =>
        tally.report("download", file, bytes),
      );
      tally.report("verify", file, file.size);
      if (!(await isIntact(part.path, file, signal))) throw mismatch(connection.repo, file);
      await part.finish();
    } catch (error) {
      wrong = error instanceof UserError && error.code === "download/checksum";
      throw error;
    } finally {
      await (wrong ? part.remove() : part.release()).catch(() => undefined); // finished parts have another name by now
    }
  }
  for (const each of group) await cache.link(commit, each);
  tally.report("download", file, file.size);
}

const mismatch = (repo: string, { path, oid }: HubFile): UserError =>
  new UserError(
    "download/checksum",
    `${path} of ${repo} arrived damaged: its checksum is not ${oid.slice(0, 12)}…. It was removed.`,
    "Run it again; if it stays so, something between here and the hub changes what it carries: try another network.",
  );

/** Adds up how far all files are. */
class Tally {
  readonly #repo: string;
  readonly #total: number;
  readonly #before: number;
  readonly #at = new Map<string, number>();
  readonly #tell: DownloadOptions["onProgress"];

  constructor(repo: string, files: readonly HubFile[], blobs: ReadonlyMap<string, Group>, tell: DownloadOptions["onProgress"]) {
    this.#repo = repo;
    const distinct = new Map(files.map(({ oid, size }) => [oid, size]));
    this.#total = sum(distinct.values());
    this.#before = sum([...distinct].map(([oid, size]) => (blobs.has(oid) ? 0 : size)));
    this.#tell = tell;
  }

  report(phase: DownloadProgress["phase"], { oid, path }: HubFile, at?: number, retry?: Retry): void {
    if (at !== undefined) this.#at.set(oid, at);
    const bytes = this.#before + sum(this.#at.values());
    this.#tell?.({ phase, repo: this.#repo, file: path, bytes, total: this.#total, ...(retry && { retry }) });
  }
}

const sum = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0);

async function checkRoom(folder: string, blobs: ReadonlyMap<string, Group>): Promise<void> {
  const missing = [...blobs.values()].map(async ([{ oid, size }]) => size - Math.min(size, await partialSize(folder, oid)));
  const needed = sum(await Promise.all(missing));
  const system = await statfs(folder).catch(() => undefined);
  if (system === undefined || system.blocks === 0) return; // some network file systems do not tell
  const room = system.bavail * system.bsize;
  if (needed <= room) return;
  throw new UserError(
    "disk/full",
    `The download needs ${gigabytes(needed)}, and ${folder} has room for ${gigabytes(room)}.`,
    "Free some space, or choose a folder on another disk (--cache, or HF_HUB_CACHE).",
  );
}

/** Runs a few at a time. The first failure stops the others, and is thrown when all have put away what they hold. */
async function eachOf<T>(
  items: readonly T[],
  signal: AbortSignal | undefined,
  run: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const queue = [...items];
  let failure: { error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined && !either.aborted; item = queue.shift())
      try {
        await run(item, either);
      } catch (error) {
        failure ??= { error };
        stop.abort(error);
      }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  if (failure !== undefined) throw failure.error;
  signal?.throwIfAborted();
}

/** What failed, in the user's terms; faults of ours unchanged. */
function explain(error: unknown, name: string, id: HubId, settings: HubSettings, signal: AbortSignal | undefined): unknown {
  const again = "Run it again: it goes on where it ended.";
  if (signal?.aborted)
    return new UserError("download/interrupted", `The download of ${name} was stopped.`, again, { cause: error });
  if (!(error instanceof Transient)) return asDiskError(error, settings.cacheDir);
  if (isUntrusted(error))
    return new UserError(
      "download/untrusted",
      `${settings.endpoint} cannot show that it is what it says it is: ${messageOf(error)}.`,
      "Something between here and the hub answers in its place. If it is your own network's, set NODE_EXTRA_CA_CERTS to the file of its certificate.",
      { cause: error },
    );
  if (isUnreachable(error)) return offline(name, id, settings, messageOf(error), error);
  if (/answered \d+/.test(error.message))
    return new UserError("download/server", `${settings.endpoint} is in trouble: ${error.message}, again and again.`, again, {
      cause: error,
    });
  return new UserError("download/interrupted", `The download of ${name} broke off: ${error.message}.`, again, { cause: error });
}

const offline = (name: string, id: HubId, { endpoint, cacheDir }: HubSettings, why: string, cause: unknown): UserError =>
  new UserError(
    "download/offline",
    `${name} is not complete in ${cacheDir}, and ${endpoint} cannot be asked: ${why}.`,
    `Connect to the network; or download the files by hand elsewhere, from ${pageOf(id, endpoint)}, and give the path of the copy.`,
    { cause },
  );

/** @param asked whether the caller said so, rather than the environment */
function forbidden(name: string, id: HubId, { endpoint, cacheDir }: HubSettings, asked: boolean): UserError {
  const [said, allow] = asked ? ["offline is true", "Leave offline out"] : ["HF_HUB_OFFLINE is set", "Unset HF_HUB_OFFLINE"];
  return new UserError(
    "download/offline",
    `${name} is not complete in ${cacheDir}, and may not be downloaded: ${said}.`,
    `${allow} to let it be downloaded; or give the path of a folder or file that has it, a copy of ${pageOf(id, endpoint)}.`,
  );
}

const pageOf = ({ repo, revision = "main" }: HubId, endpoint: string): string => `${endpoint}/${repo}/tree/${revision}`;
