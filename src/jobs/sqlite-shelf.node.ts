import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "libsql";
import { asDiskError } from "../core/atomic-file.node.ts";
import { messageOf, systemCode, UserError } from "../core/errors.ts";
import { makeFolder } from "../core/make-folder.node.ts";
import { oneAtATime } from "./one-at-a-time.ts";
import type { Shelf } from "./shelf.ts";
import { SHELF_TABLES, type SqlRun, sqlReader, sqlTransaction } from "./sql-shelf.ts";
import { isGone } from "./worker-name.node.ts";

/** How long SQLite itself waits for another process that writes, and holds up this one. */
const BLOCKED_MS = 2;

/**
 * Jobs in a file of a data folder, which several processes of one machine may have open.
 * @param busyMs how long is waited for another process that writes
 * @throws UserError jobs/damaged-file, jobs/busy, disk/full, disk/read-only, disk/denied
 */
export async function sqliteShelf(folder: string, busyMs = 5000): Promise<Shelf> {
  await makeFolder(folder);
  const path = join(folder, "jobs.sqlite");
  const told = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw asUserError(error, path);
    }
  };
  const db = await told(() => whileBusy(busyMs, () => openDatabase(path)));
  const statements = new Map<string, Database.Statement>();
  const run: SqlRun = async (sql, parameters) => {
    const statement = statements.get(sql) ?? db.prepare(sql.replaceAll(/\$\d+/g, "?"));
    statements.set(sql, statement);
    if (statement.reader) return statement.all(...parameters) as Record<string, unknown>[];
    statement.run(...parameters);
    return [];
  };
  const alone = oneAtATime(); // there is one connection, and a transaction is the connection's
  const within = <T>(begin: string, work: () => Promise<T>): Promise<T> =>
    alone(() =>
      told(async () => {
        await whileBusy(busyMs, () => db.exec(begin));
        try {
          const result = await work();
          db.exec("COMMIT");
          return result;
        } catch (error) {
          if (db.inTransaction) db.exec("ROLLBACK");
          throw error;
        }
      }),
    );
  return {
    transact: (work) => within("BEGIN IMMEDIATE", () => work(sqlTransaction(run))),
    read: (work) => within("BEGIN", () => work(sqlReader(run))),
    isGone,
    close: () =>
      alone(async () => {
        if (db.open) db.close();
      }),
  };
}

/** Tries again for a while when another one writes, without holding up the process: what has the lock may be in this one. */
async function whileBusy<T>(busyMs: number, work: () => T): Promise<T> {
  for (const until = performance.now() + busyMs; ; await sleep(1 + 4 * Math.random())) {
    try {
      return work();
    } catch (error) {
      if (systemCode(error) !== "SQLITE_BUSY" || performance.now() > until) throw error;
    }
  }
}

function openDatabase(path: string): Database.Database {
  const db = new Database(path, { timeout: BLOCKED_MS });
  try {
    db.pragma("journal_mode = WAL");
    db.pragma("synchronous = NORMAL");
    for (const table of SHELF_TABLES) db.exec(table);
  } catch (error) {
    db.close();
    throw error;
  }
  return db;
}

/** What SQLite says, told to the user; anything else unchanged. */
function asUserError(error: unknown, path: string): unknown {
  const code = systemCode(error) ?? "";
  const refuse = (problem: string, remedy: string) => new UserError("jobs/damaged-file", problem, remedy, { cause: error });
  if (code.startsWith("SQLITE_FULL")) return asDiskError(Object.assign(new Error(messageOf(error)), { code: "ENOSPC" }), path);
  if (code.startsWith("SQLITE_READONLY")) return asDiskError(Object.assign(new Error(messageOf(error)), { code: "EROFS" }), path);
  if (code.startsWith("SQLITE_CANTOPEN") || messageOf(error).includes("Unable to open"))
    return asDiskError(Object.assign(new Error(messageOf(error)), { code: "EACCES" }), path);
  if (code.startsWith("SQLITE_NOTADB") || code.startsWith("SQLITE_CORRUPT"))
    return refuse(
      `The list of jobs in ${path} is damaged.`,
      "Move the file elsewhere: a new one is made. Pictures are not in it.",
    );
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED"))
    return new UserError(
      "jobs/busy",
      `Another process does not let go of ${path}.`,
      "End programs that have it open, and keep the data folder on a disk of this machine.",
      { cause: error },
    );
  return error;
}
