import type { SqlValue } from "../core/sqlite.node.ts";

/** Letters of a search that count: each word is a condition, and SQLite takes so many. */
const MOST_LETTERS = 400;

/** Which pictures are wanted, newest first. */
export interface PictureFilter {
  /** Words that the prompt must contain, in any order, as parts of words too. */
  readonly search?: string;
  readonly person?: string;
  readonly model?: string;
  readonly style?: string;
  readonly seed?: number;
  readonly star?: boolean;
  readonly job?: string;
  /** Made at this time or later, and before that time; milliseconds since 1970. */
  readonly from?: number;
  readonly to?: number;
  /** The `next` of the page before. */
  readonly after?: string;
  /** 1 to 200; 50 by default. */
  readonly limit?: number;
}

/** The statement that finds the rows of a page and one more. */
export function pictureQuery(owner: string, filter: PictureFilter): { sql: string; parameters: SqlValue[]; limit: number } {
  const limit = Math.min(200, Math.max(1, Math.trunc(filter.limit ?? 50)));
  const words = (filter.search ?? "")
    .slice(0, MOST_LETTERS)
    .split(/[\s\0]+/)
    .filter((word) => word !== "");
  const long = words.filter((word) => [...word].length >= 3); // trigrams know nothing shorter
  // words are looked up first, newest first, so that a word of every prompt costs no more than a page
  const [number, from] =
    long.length > 0 ? ["w.rowid", "picture_words w CROSS JOIN pictures p ON p.number = w.rowid"] : ["p.number", "pictures p"];
  const conditions: [string, ...SqlValue[]][] = [["p.owner = ?", owner]];
  if (long.length > 0)
    conditions.push(["w.picture_words MATCH ?", long.map((word) => `"${word.replaceAll('"', '""')}"`).join(" AND ")]);
  for (const word of words.filter((word) => !long.includes(word)))
    conditions.push(["p.prompt LIKE ? ESCAPE '\\'", `%${word.replaceAll(/[\\%_]/g, "\\$&")}%`]);
  if (filter.person !== undefined) conditions.push(["p.person = ?", filter.person]);
  if (filter.model !== undefined) conditions.push(["p.model = ?", filter.model]);
  if (filter.style !== undefined)
    conditions.push(["EXISTS (SELECT 1 FROM picture_styles s WHERE s.picture = p.number AND s.style = ?)", filter.style]);
  if (filter.seed !== undefined) conditions.push(["p.seed = ?", filter.seed]);
  if (filter.star !== undefined) conditions.push(["p.star = ?", filter.star ? 1 : 0]);
  if (filter.job !== undefined) conditions.push(["p.job = ?", filter.job]);
  if (filter.from !== undefined) conditions.push(["p.created_at >= ?", filter.from]);
  if (filter.to !== undefined) conditions.push(["p.created_at < ?", filter.to]);
  if (filter.after !== undefined) conditions.push([`${number} < ?`, numberOf(filter.after)]);
  const where = conditions.map(([condition]) => condition).join(" AND ");
  const parameters = [...conditions.flatMap(([, ...values]) => values), limit + 1];
  return { sql: `SELECT p.* FROM ${from} WHERE ${where} ORDER BY ${number} DESC LIMIT ?`, parameters, limit };
}

/** A place in the list, as it is told to others. */
export const cursorOf = (number: number): string => number.toString(36);
/** What is no cursor is before everything, so that nothing follows. */
const numberOf = (cursor: string): number => (/^[0-9a-z]{1,10}$/.test(cursor) ? Number.parseInt(cursor, 36) : 0);
