import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { HubFile } from "./hub-api.ts";

/** Whether a file's bytes are those that the hub names: SHA-256 of the content, or git's SHA-1 of a blob. */
export async function isIntact(
  path: string,
  { size, oid }: Pick<HubFile, "size" | "oid">,
  signal?: AbortSignal,
): Promise<boolean> {
  if ((await stat(path)).size !== size) return false;
  const hash = oid.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20, ...(signal && { signal }) }))
    hash.update(chunk as Buffer);
  return hash.digest("hex") === oid;
}
