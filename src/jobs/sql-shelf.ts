import type { ListRange, ShelfReader, ShelfTransaction } from "./shelf.ts";

/** Runs one statement, whose parameters are `$1`, `$2` …, each used once and in this order. */
export type SqlRun = (sql: string, parameters: readonly (string | number)[]) => Promise<readonly Record<string, unknown>[]>;

/** The tables of a shelf: texts, and in which lists they stand. */
export const SHELF_TABLES = [
  "CREATE TABLE IF NOT EXISTS shelf_entries (kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id))",
  `CREATE TABLE IF NOT EXISTS shelf_places (kind TEXT NOT NULL, id TEXT NOT NULL, list TEXT NOT NULL, number DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (kind, id, list))`,
  "CREATE INDEX IF NOT EXISTS shelf_lists ON shelf_places (list, number, id)",
];

/** A shelf's reads in SQL that SQLite and Postgres have in common. */
export function sqlReader(run: SqlRun): ShelfReader {
  return {
    async get(kind, id) {
      const [row] = await run("SELECT body FROM shelf_entries WHERE kind = $1 AND id = $2", [kind, id]);
      return row && String(row.body);
    },
    async range(list, { from, to, limit = 1_000_000, descending = false }: ListRange = {}) {
      const direction = descending ? "DESC" : "ASC";
      const bounds = [...(from === undefined ? [] : [[">=", from] as const]), ...(to === undefined ? [] : [["<=", to] as const])];
      const where = bounds.map(([sign], i) => ` AND p.number ${sign} $${i + 2}`).join("");
      const rows = await run(
        `SELECT p.id AS id, e.body AS body FROM shelf_places p JOIN shelf_entries e ON e.kind = p.kind AND e.id = p.id
         WHERE p.list = $1${where} ORDER BY p.number ${direction}, p.id ${direction} LIMIT $${bounds.length + 2}`,
        [list, ...bounds.map(([, bound]) => bound), limit],
      );
      return rows.map((row) => ({ id: String(row.id), text: String(row.body) }));
    },
    async count(list) {
      const [row] = await run("SELECT COUNT(*) AS n FROM shelf_places WHERE list = $1", [list]);
      return Number(row!.n);
    },
  };
}

/** A shelf's reads and writes, within a transaction that `run` is in. */
export function sqlTransaction(run: SqlRun): ShelfTransaction {
  const unlist = (kind: string, id: string) => run("DELETE FROM shelf_places WHERE kind = $1 AND id = $2", [kind, id]);
  return {
    ...sqlReader(run),
    async put(kind, id, text, places = {}) {
      await run(
        "INSERT INTO shelf_entries (kind, id, body) VALUES ($1, $2, $3) ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
        [kind, id, text],
      );
      await unlist(kind, id);
      for (const [list, number] of Object.entries(places))
        await run("INSERT INTO shelf_places (kind, id, list, number) VALUES ($1, $2, $3, $4)", [kind, id, list, number]);
    },
    async remove(kind, id) {
      await run("DELETE FROM shelf_entries WHERE kind = $1 AND id = $2", [kind, id]);
      await unlist(kind, id);
    },
  };
}
