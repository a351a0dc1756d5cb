import { optionalPackage } from "../core/optional-package.node.ts";
import { bullmqTurns, type TurnsOf } from "./bullmq-turns.node.ts";
import { oneAtATime } from "./one-at-a-time.ts";
import { asUnreachable, type ServerPlace } from "./redis-shelf.node.ts";
import type { Shelf } from "./shelf.ts";
import { SHELF_TABLES, type SqlRun, sqlReader, sqlTransaction } from "./sql-shelf.ts";

const ANSWER_MS = 2000;
/** BullMQ's tables, for the queues of all names. */
const TURNS_SCHEMA = "photomaker_turns";
/** Connections of this process, beside those of BullMQ. */
const CONNECTIONS = 4;

/**
 * Jobs on Postgres 13 or newer: a schema with the tables of SQLite's file, and one with BullMQ's turns. Transactions that write wait for each
 * other.
 * @throws UserError package/not-installed, jobs/unreachable
 */
export async function postgresShelf({ address, name, leaseMs }: ServerPlace): Promise<Shelf> {
  const needs = "bullmq pg";
  const { default: pg } = await optionalPackage(() => import("pg"), "The queue on Postgres", needs);
  const bullmq = await optionalPackage(() => import("bullmq"), "The queue on Postgres", needs);
  const common = { connectionString: address, connectionTimeoutMillis: ANSWER_MS, query_timeout: ANSWER_MS, keepAlive: true };
  const schema = `${name}_shelf`;
  const pool = new pg.Pool({ ...common, max: CONNECTIONS, options: `-c search_path="${schema}"` });
  pool.on("error", () => undefined); // of a connection that nobody uses just now
  const told = <T>(work: () => Promise<T>): Promise<T> =>
    work().catch((error: unknown) => {
      throw asUnreachable(error, "Postgres");
    });

  /** Work on one connection, which is thrown away if anything fails. */
  const within = <T>(begin: string, work: (run: SqlRun) => Promise<T>): Promise<T> =>
    told(async () => {
      const client = await pool.connect();
      const dropped = (): void => undefined; // the query that is under way says so
      client.on("error", dropped);
      let failed = true;
      try {
        await client.query(begin);
        const result = await work(async (sql, parameters) => (await client.query(sql, [...parameters])).rows);
        await client.query("COMMIT");
        failed = false;
        return result;
      } finally {
        client.off("error", dropped);
        client.release(failed);
      }
    });

  const lock = `BEGIN; SELECT pg_advisory_xact_lock(hashtext('${schema}'))`;
  let turns: TurnsOf | undefined;
  const close = async (): Promise<void> => {
    await turns?.close();
    await pool.end();
  };
  try {
    await within(lock, async (run) => {
      await run(`CREATE SCHEMA IF NOT EXISTS "${schema}"`, []);
      for (const table of SHELF_TABLES) await run(table, []);
    });
  } catch (error) {
    await close();
    throw error;
  }
  turns = bullmqTurns({
    name,
    leaseMs,
    told,
    classes: bullmq.withBackend(bullmq.createPostgresBackend),
    connection: { ...common, query_timeout: undefined, max: 2, schema: TURNS_SCHEMA, migrate: true },
  });
  const alone = oneAtATime();
  return {
    read: (work) => within("BEGIN READ ONLY", (run) => work(sqlReader(run))),
    transact: (work) => alone(() => within(lock, (run) => work(sqlTransaction(run)))),
    turns,
    close,
  };
}
