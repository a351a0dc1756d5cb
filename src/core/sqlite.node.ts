import { setTimeout as sleep } from "node:timers/promises";
import Database from "libsql";
import { asDiskError } from "./atomic-file.node.ts";
import { messageOf, systemCode, UserError } from "./errors.ts";

/** How long SQLite itself waits for another process that writes, and holds up this one. */
const BLOCKED_MS = 2;

/** A value of a column. */
export type SqlValue = string | number | null;

/** A file of SQLite, which several processes of one machine may have open. Work on it is done one piece after the other. */
export interface SqliteFile {
  /** Runs work in a transaction: `write` ones one at a time, over all processes. Within it, `run` runs one statement and gives its rows. */
  within<T>(mode: "read" | "write", work: (run: SqliteRun) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}
export type SqliteRun = (sql: string, parameters?: readonly SqlValue[]) => readonly Record<string, unknown>[];

/**
 * Opens a file of SQLite, and makes its tables.
 * @param tables statements that make what is missing
 * @param busyMs how long is waited for another process that writes
 * @throws UserError database/damaged, database/busy, disk/full, disk/read-only, disk/denied, as do later calls
 */
export async function openSqlite(path: string, tables: readonly string[], busyMs = 5000): Promise<SqliteFile> {
  const db = await told(path, () => whileBusy(busyMs, () => openDatabase(path, tables)));
  const statements = new Map<string, Database.Statement>();
  const run: SqliteRun = (sql, parameters = []) => {
    const statement = statements.get(sql) ?? db.prepare(sql);
    statements.set(sql, statement);
    if (statement.reader) return statement.all(...parameters) as Record<string, unknown>[];
    statement.run(...parameters);
    return [];
  };
  let last: Promise<unknown> = Promise.resolve();
  /** There is one connection, and a transaction is the connection's. */
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };
  return {
    within: (mode, work) =>
      alone(() =>
        told(path, async () => {
          await whileBusy(busyMs, () => db.exec(mode === "read" ? "BEGIN" : "BEGIN IMMEDIATE"));
          try {
            const result = await work(run);
            db.exec("COMMIT");
            return result;
          } catch (error) {
            if (db.inTransaction) db.exec("ROLLBACK");
            throw error;
          }
        }),
      ),
    close: () =>
      alone(async () => {
        if (db.open) db.close();
      }),
  };
}

function openDatabase(path: string, tables: readonly string[]): Database.Database {
  const db = new Database(path, { timeout: BLOCKED_MS });
  try {
    db.pragma("journal_mode = WAL");
    db.pragma("synchronous = NORMAL");
    for (const table of tables) db.exec(table);
  } catch (error) {
    db.close();
    throw error;
  }
  return db;
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

async function told<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asUserError(error, path);
  }
}

/** What SQLite says, told to the user; anything else unchanged. */
function asUserError(error: unknown, path: string): unknown {
  const code = systemCode(error) ?? "";
  const like = (system: string): unknown => asDiskError(Object.assign(new Error(messageOf(error)), { code: system }), path);
  if (code.startsWith("SQLITE_FULL")) return like("ENOSPC");
  if (code.startsWith("SQLITE_READONLY")) return like("EROFS");
  if (code.startsWith("SQLITE_IOERR")) return like("EIO");
  if (code.startsWith("SQLITE_CANTOPEN") || messageOf(error).includes("Unable to open")) return like("EACCES");
  if (code.startsWith("SQLITE_NOTADB") || code.startsWith("SQLITE_CORRUPT"))
    return new UserError("database/damaged", `${path} is damaged.`, "Move the file elsewhere, and a new one is made.", {
      cause: error,
    });
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED"))
    return new UserError(
      "database/busy",
      `Another process does not let go of ${path}.`,
      "End programs that have it open, and keep the data folder on a disk of this machine.",
      { cause: error },
    );
  return error;
}
