import { systemCode, UserError } from "../../core/errors.ts";
import { untilAborted } from "../../core/until-aborted.ts";
import { type Retrying, Transient } from "./retry.ts";

/** How requests to one repository are made. */
export interface Connection extends Retrying {
  readonly endpoint: string;
  /** Named in what the user is told. */
  readonly repo: string;
  readonly token?: string | undefined;
  /** Need not obey the signal that it is given. */
  readonly fetch: typeof fetch;
}

/**
 * One request. The body is read by `use`, while silence is watched; `alive` is called for every sign of life, and `stopped`
 * says when reading has to end.
 * @param accepted statuses besides 200 to 299 that are no failure
 * @throws Transient for what may pass; UserError download/gated, download/denied, download/not-found, download/refused
 */
export async function request<T>(
  url: string,
  headers: Readonly<Record<string, string>>,
  connection: Connection,
  use: (response: Response, alive: () => void, stopped: AbortSignal) => Promise<T>,
  accepted: readonly number[] = [],
): Promise<T> {
  const { token, signal, policy, repo } = connection;
  const silence = new AbortController();
  const fail = () => silence.abort(new Transient(`no answer for ${policy.idleMs / 1000} s`));
  let timer = setTimeout(fail, policy.idleMs);
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(fail, policy.idleMs);
  };
  try {
    const either = signal ? AbortSignal.any([signal, silence.signal]) : silence.signal;
    // fetch drops Authorization when it is sent on to another host
    const all = { "user-agent": "photomaker", ...headers, ...(token && { authorization: `Bearer ${token}` }) };
    const response = await untilAborted(connection.fetch(url, { headers: all, signal: either }), either);
    alive();
    if (!response.ok && !accepted.includes(response.status)) throw await failure(response, repo, token !== undefined);
    return await use(response, alive, either);
  } catch (error) {
    signal?.throwIfAborted();
    if (silence.signal.aborted) throw silence.signal.reason;
    throw isConnectionFailure(error) ? new Transient(`the connection failed: ${reasonOf(error)}`, { cause: error }) : error;
  } finally {
    clearTimeout(timer);
  }
}

/** fetch throws a TypeError with the system's error as its cause, whether connecting or reading fails. */
const isConnectionFailure = (error: unknown): boolean => error instanceof TypeError && error.cause !== undefined;

const reasonOf = (error: unknown): string => {
  const cause = error instanceof Error ? error.cause : undefined;
  return systemCode(cause) ?? (cause instanceof Error ? cause.message : String(error));
};

/** Whether the server's name has no address, as without a network. */
export const isUnresolved = (error: unknown): boolean => hasCause(error, /^(ENOTFOUND|EAI_AGAIN)$/);

/** Whether the server, or who answers in its place, cannot show who it is. */
export const isUntrusted = (error: unknown): boolean =>
  hasCause(error, /^(CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|ERR_TLS_CERT)/);

/** Whether nobody answered at all. */
export const isUnreachable = (error: unknown): boolean =>
  isUnresolved(error) || hasCause(error, /^(ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|UND_ERR_CONNECT_TIMEOUT)$/);

/** Whether the system gave one of these codes for a connection that failed. */
function hasCause(error: unknown, codes: RegExp): boolean {
  const cause = error instanceof Transient ? (error.cause as Error | undefined)?.cause : undefined;
  const all = cause instanceof AggregateError ? cause.errors : [cause];
  return all.some((each) => codes.test(systemCode(each) ?? ""));
}

async function failure(response: Response, repo: string, hasToken: boolean): Promise<Error> {
  const { status, headers } = response;
  if ([408, 429, 500, 502, 503, 504].includes(status)) {
    await response.body?.cancel();
    const seconds = Number(headers.get("retry-after"));
    return new Transient(`the server answered ${status}`, { waitMs: Number.isFinite(seconds) ? seconds * 1000 : 0 });
  }
  const said = headers.get("x-error-message") ?? (await errorIn(response));
  const kind = headers.get("x-error-code");
  const settings = "https://huggingface.co/settings/tokens";
  if (kind === "GatedRepo" || (status === 403 && /gated|restricted|awaiting|agree|licen[cs]e/i.test(said)))
    return new UserError(
      "download/gated",
      `${repo} is given only to those who accepted its terms${hasToken ? ", and your token's owner has not" : ""}.`,
      `Accept them at https://huggingface.co/${repo}, make a token at ${settings} that may read, and set HF_TOKEN to it.`,
    );
  if (status === 401 || status === 403)
    return new UserError(
      "download/denied",
      hasToken
        ? `The hub does not let your token read ${repo}: it does not exist, it is private, or the token is wrong${tail(said)}.`
        : `The hub does not show ${repo} without a token: it does not exist, or it is private or gated${tail(said)}.`,
      `Check the spelling. If it exists, make a token at ${settings} that may read it, and set HF_TOKEN to it.`,
    );
  if (status === 404 || status === 410) {
    const what = { RevisionNotFound: "that revision", EntryNotFound: "that file" }[kind ?? ""];
    return new UserError(
      "download/not-found",
      what === undefined ? `The hub has no ${repo}.` : `${repo} has not ${what}${tail(said)}.`,
      `Check the spelling at https://huggingface.co/${what === undefined ? "models" : `${repo}/tree/main`}.`,
    );
  }
  return new UserError(
    "download/refused",
    `The hub answered ${status} to the request for ${repo}${tail(said)}.`,
    "Try again later; if it stays so, download the files by hand and give their folder.",
  );
}

const tail = (said: string): string => (said === "" ? "" : ` ("${said.replace(/\.$/, "")}")`);

async function errorIn(response: Response): Promise<string> {
  const text = await response.text().catch(() => "");
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    return typeof error === "string" ? error.slice(0, 200) : "";
  } catch {
    return "";
  }
}
