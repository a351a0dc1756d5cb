import { UserError } from "../core/errors.ts";

/** What lies in a store. */
export const STORED_KINDS = ["photo", "crop", "tokens", "picture", "thumb"] as const;
export type StoredKind = (typeof STORED_KINDS)[number];

/** Where the bytes of photos and pictures lie: a folder, or a bucket. Nothing is changed there; it is written once, and removed. */
export interface Store {
  /** Keeps bytes, whole or not at all. */
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** The bytes, or undefined if there are none. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** Removes what may be there. */
  remove(key: string): Promise<void>;
  /** Ends connections. */
  close(): Promise<void>;
}

const KEY = new RegExp(`^(${STORED_KINDS.join("|")})/([0-9a-f]{32})(\\.\\d{1,4})?\\.([a-z0-9]{1,11})$`);

/** The key of a thing: its kind, an id that we made, and what tells its forms apart. */
export const storeKey = (kind: StoredKind, id: string, extension: string, size?: number): string =>
  checkedKey(`${kind}/${id}${size === undefined ? "" : `.${size}`}.${extension}`);

/**
 * A key, if it is one that we may have made. Nothing else becomes a path.
 * @throws UserError store/bad-key
 */
export function checkedKey(key: string): string {
  if (!KEY.test(key))
    throw new UserError("store/bad-key", `${JSON.stringify(key.slice(0, 80))} is no key of the store.`, "Ask for it by its id.");
  return key;
}
