import { open, stat } from "node:fs/promises";
import { asDiskError } from "../../core/atomic-file.node.ts";
import { systemCode, UserError } from "../../core/errors.ts";
import { untilAborted } from "../../core/until-aborted.ts";
import { type Connection, request } from "./hub-http.ts";
import { Transient, withRetries } from "./retry.ts";

/**
 * Brings a file of known size to `path`, going on where an earlier attempt ended: what is there already is taken for
 * the beginning. A server that ignores ranges sends it again from the start.
 * @param at called with the number of bytes that are there
 * @throws UserError disk/full, download/checksum when the server has another size, and those of request
 */
export async function fetchFile(
  url: string,
  path: string,
  size: number,
  connection: Connection,
  at: (bytes: number) => void,
): Promise<void> {
  let reached = await sizeOf(path);
  await withRetries(
    async () => {
      const there = await sizeOf(path);
      const start = there > size ? 0 : there;
      at(start);
      if (start === size && size > 0) return;
      const range: Record<string, string> = start > 0 ? { range: `bytes=${start}-` } : {};
      await request(
        url,
        { "accept-encoding": "identity", ...range },
        connection,
        async (response, alive, stopped) => {
          const from = start > 0 && response.status === 206 ? rangeStart(response) : 0;
          if (response.status === 416 || (from !== 0 && from !== start)) {
            await response.body?.cancel();
            await write(path, 0, []);
            throw new Transient(`the server cannot go on at ${start}`);
          }
          checkSize(response, from, size, connection.repo);
          await write(path, from, chunksOf(response, stopped), (bytes) => {
            alive();
            reached = Math.max(reached, bytes);
            at(bytes);
            if (bytes > size) throw otherSize(connection.repo, `more than ${size} bytes`, size);
          });
        },
        [416],
      );
      const now = await sizeOf(path);
      if (now < size) throw new Transient(`the connection was cut at ${now} of ${size} bytes`);
    },
    connection,
    { gained: () => reached },
  );
}

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    (found) => found.size,
    () => 0,
  );

/** A body's chunks, until it has to end. */
async function* chunksOf({ body }: Response, stopped: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = body?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      const { done, value } = await untilAborted(reader.read(), stopped);
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => undefined); // of what goes on in spite of the signal
  }
}

/** Cuts the file at `start` and adds the chunks. */
async function write(
  path: string,
  start: number,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  at?: (bytes: number) => void,
): Promise<void> {
  let position = start;
  const file = await open(path, start > 0 ? "r+" : "w").catch((error: unknown) => {
    throw asDiskError(error, path);
  });
  try {
    if (start > 0) await file.truncate(start);
    for await (const chunk of chunks) {
      for (let done = 0; done < chunk.length; ) {
        const { bytesWritten } = await file.write(chunk, done, chunk.length - done, position).catch((error: unknown) => {
          throw diskError(error, path);
        });
        done += bytesWritten;
        position += bytesWritten;
      }
      at?.(position);
    }
  } finally {
    await file.close();
  }
}

function diskError(error: unknown, path: string): unknown {
  if (!/^(ENOSPC|EDQUOT|EFBIG)$/.test(systemCode(error) ?? "")) return asDiskError(error, path);
  return new UserError(
    "disk/full",
    `There is no room left for ${path}.`,
    "Free some space, or choose a folder on another disk (--cache, or HF_HUB_CACHE), and run it again: it goes on from there.",
    { cause: error },
  );
}

/** Where the part that was sent begins; NaN if the answer does not say. */
const rangeStart = (response: Response): number =>
  Number(/^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1] ?? Number.NaN);

function checkSize(response: Response, from: number, size: number, repo: string): void {
  const length = response.headers.get("content-length");
  if (length === null || response.headers.has("content-encoding")) return;
  if (from + Number(length) !== size) throw otherSize(repo, `${from + Number(length)} bytes`, size);
}

const otherSize = (repo: string, found: string, size: number): UserError =>
  new UserError(
    "download/checksum",
    `A file of ${repo} has ${found} on the server, and the hub's list says ${size}.`,
    "Run it again; if it stays so, a proxy or HF_ENDPOINT gives other files than the hub: download by hand.",
  );
