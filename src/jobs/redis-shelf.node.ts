import type { Redis, RedisOptions } from "ioredis";
import { messageOf, UserError } from "../core/errors.ts";
import { optionalPackage } from "../core/optional-package.node.ts";
import { bullmqTurns, type TurnsOf } from "./bullmq-turns.node.ts";
import { oneAtATime } from "./one-at-a-time.ts";
import type { EntryKind, ListedEntry, ListName, ListRange, Shelf, ShelfReader, ShelfTransaction } from "./shelf.ts";

/** What a shelf on a server needs to know. */
export interface ServerPlace {
  readonly address: string;
  readonly name: string;
  readonly leaseMs: number;
}

/** How long a server may take to answer. */
const ANSWER_MS = 2000;
/** How often a transaction is tried again when others come between. */
const TRIES = 200;

/**
 * Jobs on Redis or Valkey: texts in hashes, lists as sorted sets, and BullMQ's turns. A transaction watches one counter, which each one
 * that writes increases.
 * @throws UserError package/not-installed, jobs/unreachable
 */
export async function redisShelf({ address, name, leaseMs }: ServerPlace): Promise<Shelf> {
  const needs = "bullmq ioredis";
  const { Redis } = await optionalPackage(() => import("ioredis"), "The queue on Redis", needs);
  const bullmq = await optionalPackage(() => import("bullmq"), "The queue on Redis", needs);
  const connect = (options: RedisOptions): Redis => {
    const common = { connectTimeout: ANSWER_MS, lazyConnect: true, retryStrategy: (times: number) => Math.min(50 * times, 500) };
    const redis = new Redis(address, { ...common, ...options });
    redis.on("error", () => undefined); // each call says so itself
    return redis;
  };
  const failing = { commandTimeout: ANSWER_MS, maxRetriesPerRequest: 0, enableOfflineQueue: false }; // nothing is done later, unasked
  const [reading, writing] = [connect(failing), connect(failing)];
  const broker = connect({ maxRetriesPerRequest: null }); // BullMQ's own must wait
  const told = <T>(work: () => Promise<T>): Promise<T> =>
    work().catch((error: unknown) => {
      throw asUnreachable(error, "Redis");
    });
  let turns: TurnsOf | undefined;
  const close = async (): Promise<void> => {
    await turns?.close();
    reading.disconnect();
    writing.disconnect();
    broker.disconnect();
  };
  try {
    await told(() => Promise.all([reading.connect(), writing.connect()]));
  } catch (error) {
    await close();
    throw error;
  }
  const keys = keysOf(name);
  const reader = redisReader(reading, keys);
  const alone = oneAtATime(); // what is watched is the connection's
  turns = bullmqTurns({
    name,
    leaseMs,
    told,
    classes: bullmq.withBackend(bullmq.createRedisBackend),
    connection: broker,
  });
  return {
    read: (work) => told(() => work(reader)),
    transact: (work) => alone(() => told(() => transaction(writing, keys, work))),
    turns,
    close,
  };
}

interface Keys {
  readonly version: string;
  hash(kind: EntryKind): string;
  places(kind: EntryKind, id: string): string;
  list(list: ListName): string;
}

const keysOf = (name: string): Keys => ({
  version: `${name}:shelf`,
  hash: (kind) => `${name}:entries:${kind}`,
  places: (kind, id) => `${name}:places:${kind}:${id}`,
  list: (list) => `${name}:list:${list}`,
});

function redisReader(redis: Redis, keys: Keys): ShelfReader {
  return {
    async get(kind, id) {
      return (await redis.hget(keys.hash(kind), id)) ?? undefined;
    },
    async range(list, { from, to, limit = 1_000_000, descending = false }: ListRange = {}): Promise<ListedEntry[]> {
      const [low, high] = [from ?? "-inf", to ?? "+inf"];
      const ids = descending
        ? await redis.zrevrangebyscore(keys.list(list), high, low, "LIMIT", 0, limit)
        : await redis.zrangebyscore(keys.list(list), low, high, "LIMIT", 0, limit);
      if (ids.length === 0) return [];
      const texts = await redis.hmget(keys.hash(list.slice(0, list.indexOf("/")) as EntryKind), ...ids);
      return ids.flatMap((id, i) => (texts[i] === null ? [] : [{ id, text: texts[i]! }]));
    },
    count: (list) => redis.zcard(keys.list(list)),
  };
}

/** Collects what is to be written, and writes it at once if nobody else has written since it began to read. */
async function transaction<T>(redis: Redis, keys: Keys, work: (tx: ShelfTransaction) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    await redis.watch(keys.version);
    const writes: (readonly string[])[] = [];
    const written = new Map<string, string | undefined>();
    const reader = redisReader(redis, keys);
    let result: T;
    try {
      result = await work({
        ...reader,
        get: async (kind, id) => (written.has(`${kind}/${id}`) ? written.get(`${kind}/${id}`) : reader.get(kind, id)),
        async put(kind, id, text, places = {}) {
          written.set(`${kind}/${id}`, text);
          writes.push(...unlisting(keys, kind, id, await placesOf(redis, keys, kind, id, writes)));
          writes.push(["hset", keys.hash(kind), id, text]);
          const lists = Object.entries(places);
          for (const [list, number] of lists) writes.push(["zadd", keys.list(list as ListName), String(number), id]);
          if (lists.length > 0) writes.push(["sadd", keys.places(kind, id), ...lists.map(([list]) => list)]);
        },
        async remove(kind, id) {
          written.set(`${kind}/${id}`, undefined);
          writes.push(...unlisting(keys, kind, id, await placesOf(redis, keys, kind, id, writes)));
          writes.push(["hdel", keys.hash(kind), id]);
        },
      });
    } catch (error) {
      await redis.unwatch().catch(() => undefined);
      throw error;
    }
    if (writes.length === 0) {
      await redis.unwatch();
      return result;
    }
    const done = await redis.multi([["incr", keys.version], ...writes.map((write) => [...write])]).exec();
    for (const [error] of done ?? []) if (error) throw error;
    if (done !== null) return result;
    if (tries === TRIES) throw new Error(`${TRIES} times others wrote to the queue first`);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(50, 2 * tries)));
  }
}

/** Lists in which an entry stands: those that are kept, and those that this transaction adds. */
async function placesOf(
  redis: Redis,
  keys: Keys,
  kind: EntryKind,
  id: string,
  writes: readonly (readonly string[])[],
): Promise<string[]> {
  const own = keys.places(kind, id);
  return [
    ...new Set([
      ...(await redis.smembers(own)),
      ...writes.flatMap(([command, key, ...lists]) => (command === "sadd" && key === own ? lists : [])),
    ]),
  ];
}

function unlisting(keys: Keys, kind: EntryKind, id: string, lists: readonly string[]): string[][] {
  return lists.length === 0
    ? []
    : [...lists.map((list) => ["zrem", keys.list(list as ListName), id]), ["del", keys.places(kind, id)]];
}

/** What is thrown when a server does not answer, told to the user; a `UserError` unchanged. */
export function asUnreachable(error: unknown, server: string): unknown {
  if (error instanceof UserError) return error;
  return new UserError(
    "jobs/unreachable",
    `The queue's server (${server}) does not do what it is asked: ${messageOf(error)}.`,
    "See that it runs, that the address and the password are right, and that it can be reached from here.",
    { cause: error },
  );
}
