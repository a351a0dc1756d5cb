import { readdir, readFile, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "./atomic-file.node.ts";
import { systemCode } from "./errors.ts";
import { type LockOptions, withLock } from "./lock.node.ts";

export interface ContentEntry {
  readonly key: string;
  /** Of its files, without the note. */
  readonly bytes: number;
  readonly lastUsed: Date;
}

export interface EntryFiles {
  /** What the names of an entry's files end in, behind its key. */
  readonly endings: readonly string[];
  /** What the name of its note ends in, which is written last: without it the files count for nothing. */
  readonly note?: string;
  /** What keys look like, in a folder in which files of others may lie: none of those is listed. */
  readonly keys?: RegExp;
}

/**
 * A folder whose entries are named for the content that they were made from: an entry that is there is right, and what was made from other
 * content has another name.
 */
export class ContentFolder {
  readonly path: string;
  readonly #endings: readonly string[];
  readonly #note: string | undefined;
  readonly #keys: RegExp | undefined;

  constructor(path: string, { endings, note, keys }: EntryFiles) {
    this.path = path;
    this.#endings = endings;
    this.#note = note;
    this.#keys = keys;
  }

  /** The file that completes an entry. */
  get #last(): string {
    return this.#note ?? this.#endings[0]!;
  }

  file(key: string, ending = this.#last): string {
    return join(this.path, `${key}${ending}`);
  }

  has(key: string): Promise<boolean> {
    return stat(this.file(key)).then(
      () => true,
      () => false,
    );
  }

  /** @returns undefined if it is not there */
  async read(key: string, ending?: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      const bytes = await readFile(this.file(key, ending));
      const isWhole = bytes.byteLength === bytes.buffer.byteLength;
      return isWhole ? new Uint8Array(bytes.buffer) : new Uint8Array(bytes); // small files share a buffer
    } catch (error) {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  /**
   * Writes a file of an entry whole, or not at all.
   * @throws UserError disk/full and others of writeFileAtomically
   */
  write(key: string, { buffer, byteOffset, byteLength }: ArrayBufferView, ending?: string): Promise<void> {
    return writeFileAtomically(this.file(key, ending), (sink) => sink.write(new Uint8Array(buffer, byteOffset, byteLength)));
  }

  /** Makes an entry while no other process makes the same. See {@link withLock}. */
  lock<T>(key: string, options: LockOptions, make: () => Promise<T>): Promise<T> {
    return withLock(join(this.path, key), options, make);
  }

  /** Notes that an entry was used now. */
  async touch(key: string): Promise<void> {
    const now = new Date();
    await utimes(this.file(key), now, now).catch(() => undefined); // a folder that can only be read still serves
  }

  /** All complete entries, those used last first; none where there is no folder. */
  async list(): Promise<ContentEntry[]> {
    const names = await readdir(this.path).catch((error: unknown) => {
      if (systemCode(error) === "ENOENT") return [];
      throw error;
    });
    const found: ContentEntry[] = [];
    for (const name of names) {
      if (name.startsWith(".") || !name.endsWith(this.#last)) continue;
      const key = name.slice(0, -this.#last.length);
      if (this.#keys?.test(key) === false) continue;
      const last = await stat(this.file(key)).catch(() => undefined); // another process may remove it meanwhile
      if (last?.isFile()) found.push({ key, bytes: await this.#bytesOf(key), lastUsed: last.mtime });
    }
    return found.sort((a, b) => b.lastUsed.getTime() - a.lastUsed.getTime());
  }

  async #bytesOf(key: string): Promise<number> {
    let bytes = 0;
    for (const ending of this.#endings) bytes += (await stat(this.file(key, ending)).catch(() => undefined))?.size ?? 0;
    return bytes;
  }

  /** The note goes first, so that no half of an entry is ever taken for a whole one. */
  async remove(key: string): Promise<void> {
    if (this.#note !== undefined) await rm(this.file(key), { force: true });
    for (const ending of this.#endings) await rm(this.file(key, ending), { force: true });
  }

  /** Gives up entries, those used longest ago first, until the rest fits. @param keep are not given up @returns what was */
  async evict<Entry extends ContentEntry>(
    entries: readonly Entry[],
    mostBytes: number,
    keep: ReadonlySet<string>,
  ): Promise<Entry[]> {
    let total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
    const gone: Entry[] = [];
    for (const entry of entries.toReversed()) {
      if (total <= mostBytes) break;
      if (keep.has(entry.key)) continue;
      await this.remove(entry.key);
      total -= entry.bytes;
      gone.push(entry);
    }
    return gone;
  }
}
