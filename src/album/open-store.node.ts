import { UserError } from "../core/errors.ts";
import { folderStore } from "./folder-store.node.ts";
import type { Store } from "./store.ts";

/**
 * Opens a store. What S3 needs is loaded only then.
 * @param address a folder, or `s3://bucket/prefix?region=…&endpoint=…`
 * @throws UserError store/bad-address, and those of folderStore and s3Store
 */
export async function openStore(address: string): Promise<Store> {
  const [, scheme] = /^([a-z][a-z0-9+.-]+):\/\//i.exec(address) ?? [];
  if (scheme === undefined) return folderStore(address);
  if (scheme.toLowerCase() === "s3") return (await import("./s3-store.node.ts")).s3Store(address);
  throw new UserError("store/bad-address", `There is no store at ${scheme}://…`, "Give s3://bucket, or a folder.");
}
