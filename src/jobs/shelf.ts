/** What is kept: jobs, the short form of those that are due, owners, events, idempotency keys, counters and settings. */
export type EntryKind = "job" | "due" | "owner" | "event" | "key" | "meta";

/** A list in which entries of one kind stand in the order of a number: `due/generate:sdxl` lists entries of the kind `due`. */
export type ListName = `${EntryKind}/${string}`;

export interface ListRange {
  /** Smallest and largest number, inclusive. */
  readonly from?: number;
  readonly to?: number;
  readonly limit?: number;
  /** Largest first. */
  readonly descending?: boolean;
}

export interface ListedEntry {
  readonly id: string;
  readonly text: string;
}

/** Reads of a shelf. */
export interface ShelfReader {
  get(kind: EntryKind, id: string): Promise<string | undefined>;
  range(list: ListName, range?: ListRange): Promise<ListedEntry[]>;
  count(list: ListName): Promise<number>;
}

/** Reads and writes that happen together or not at all. A list that was written to is not read again in the same transaction. */
export interface ShelfTransaction extends ShelfReader {
  /** Keeps an entry in the place of an older one of the same kind and id, and lists it in these lists and no others. */
  put(kind: EntryKind, id: string, text: string, places?: Readonly<Record<ListName, number>>): Promise<void>;
  remove(kind: EntryKind, id: string): Promise<void>;
}

/** Where jobs are kept: texts by kind and id, listed in order, with transactions. Everything else about jobs is said over it, once. */
export interface Shelf {
  /** Runs after all others that change something, of other processes too. It may be run again when another one came between. */
  transact<T>(work: (tx: ShelfTransaction) => Promise<T>): Promise<T>;
  /** Reads without waiting for others. */
  read<T>(work: (reader: ShelfReader) => Promise<T>): Promise<T>;
  /** Whether a process that holds a lease is known to be gone, where that can be known. */
  isGone?(worker: string): boolean;
  /** Hands out turns, where there is a broker that does. */
  readonly turns?: Turns;
  close(): Promise<void>;
}

/** A broker's turn: the right to take one task of a queue. */
export interface BrokerTurn {
  /** Keeps it while the task runs. */
  renew(): Promise<void>;
  /** Gives it up when the task is settled, or there was none. */
  end(): Promise<void>;
}

/**
 * Turns of a broker. There may be more than there are tasks, since a worker's death gives its turn back; a turn without a task is ended at
 * once.
 */
export interface Turns {
  /** Adds turns until as many wait as there are tasks to be done. */
  provide(queue: string, tasks: number): Promise<void>;
  take(queue: string): Promise<BrokerTurn | undefined>;
}
