import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { UserError } from "../../core/errors.ts";

export interface HubSettings {
  /** Without a slash at the end. */
  readonly endpoint: string;
  /** Absolute; shared with the official Python client. */
  readonly cacheDir: string;
  readonly token?: string;
  /** Only what is in the cache may be used. */
  readonly offline: boolean;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What the caller or else the environment says about the hub, read as the official client reads it: HF_ENDPOINT, HF_HUB_CACHE, HF_HOME,
 * XDG_CACHE_HOME, HF_TOKEN (or the file that `hf auth login` writes), HF_HUB_OFFLINE.
 * @see huggingface_hub 2.4.0 src/huggingface_hub/constants.py
 * @throws UserError download/bad-endpoint
 */
export async function hubSettings(
  given: {
    readonly endpoint?: string | undefined;
    readonly cacheDir?: string | undefined;
    readonly token?: string | undefined;
    readonly offline?: boolean | undefined;
  },
  env: Environment = process.env,
): Promise<HubSettings> {
  const home = expand(env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "huggingface"));
  const cacheDir = expand(given.cacheDir || env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(home, "hub"));
  const endpoint = (given.endpoint || env.HF_ENDPOINT || "https://huggingface.co").replace(/\/+$/, "");
  if (!/^https?:\/\/[^/]/.test(endpoint))
    throw new UserError(
      "download/bad-endpoint",
      `The address of the hub is "${endpoint}", which is no web address.`,
      "Correct HF_ENDPOINT, as in https://huggingface.co, or unset it.",
    );
  const token =
    given.token ||
    env.HF_TOKEN ||
    env.HUGGING_FACE_HUB_TOKEN ||
    (await readToken(expand(env.HF_TOKEN_PATH || join(home, "token"))));
  const offline = given.offline ?? /^(1|on|yes|true)$/i.test(env.HF_HUB_OFFLINE ?? "");
  return { endpoint, cacheDir, offline, ...(token && { token: token.trim() }) };
}

const expand = (path: string): string => resolve(path.replace(/^~(?=$|[\\/])/, homedir()));

const readToken = (path: string): Promise<string | undefined> =>
  readFile(path, "utf8").then(
    (text) => text.trim() || undefined,
    () => undefined,
  );
