import { join } from "node:path";
import { makeFolder } from "../core/make-folder.node.ts";
import { openSqlite, type SqliteRun } from "../core/sqlite.node.ts";
import type { Shelf } from "./shelf.ts";
import { SHELF_TABLES, type SqlRun, sqlReader, sqlTransaction } from "./sql-shelf.ts";
import { isGone } from "./worker-name.node.ts";

/**
 * Jobs in a file of a data folder, which several processes of one machine may have open.
 * @param busyMs how long is waited for another process that writes
 * @throws UserError those of makeFolder and openSqlite
 */
export async function sqliteShelf(folder: string, busyMs?: number): Promise<Shelf> {
  await makeFolder(folder);
  const file = await openSqlite(join(folder, "jobs.sqlite"), SHELF_TABLES, busyMs);
  const runOf =
    (run: SqliteRun): SqlRun =>
    async (sql, parameters) =>
      run(sql.replaceAll(/\$\d+/g, "?"), parameters);
  return {
    transact: (work) => file.within("write", (run) => work(sqlTransaction(runOf(run)))),
    read: (work) => file.within("read", (run) => work(sqlReader(runOf(run)))),
    isGone,
    close: () => file.close(),
  };
}
