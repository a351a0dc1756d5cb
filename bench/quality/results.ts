import { readFile } from "node:fs/promises";
import { writeFileAtomically } from "../../src/core/atomic-file.node.ts";
import { systemCode, UserError } from "../../src/core/errors.ts";
import type { Compared, SingleFigure } from "../../src/miniature/score.ts";
import type { Configuration } from "./configurations.ts";

/** Values shared by all lines of a file. */
export type Settings = Readonly<Record<string, string | number>>;

/** Result of one configuration: a line of the file. */
export interface Row {
  readonly name: string;
  readonly configuration: Configuration;
  /** Duration of one picture's evaluations, generated alone, and of the reference's, in alternation. */
  readonly seconds: number;
  readonly referenceSeconds: number;
  readonly figures: Readonly<Record<SingleFigure, Compared>>;
  readonly settings: Settings;
}

/** Sampling time as a share of the reference's. */
export const timeOf = ({ seconds, referenceSeconds }: Row): number => seconds / referenceSeconds;

/**
 * Reads the lines of a file; none if it does not exist.
 * @throws UserError quality/not-results
 */
export async function readRows(path: string): Promise<Row[]> {
  const lines = (await readIfThere(path)).split("\n");
  return lines.flatMap((line, i) => (line === "" ? [] : [rowOf(line, path, i + 1)]));
}

/** Writes all lines atomically. */
export const writeRows = (path: string, rows: readonly Row[]): Promise<void> =>
  writeFileAtomically(path, (sink) =>
    sink.write(new TextEncoder().encode(rows.map((row) => `${JSON.stringify(row)}\n`).join(""))),
  );

/**
 * Checks that a file's figures were measured with the same weights, people and machine, so that they can be compared.
 * @throws UserError quality/other-settings
 */
export function checkSettings(path: string, rows: readonly Row[], settings: Settings): void {
  for (const { settings: kept } of rows) {
    const names = [...new Set([...Object.keys(kept), ...Object.keys(settings)])];
    const apart = names.filter((name) => kept[name] !== settings[name]);
    if (apart.length > 0)
      throw new UserError(
        "quality/other-settings",
        `${path} was measured with other settings: ${apart.map((name) => `${name} was ${kept[name]} and is ${settings[name]}`).join("; ")}.`,
        "Use the settings of that file, or name another file.",
      );
  }
}

function rowOf(line: string, path: string, number: number): Row {
  try {
    const row = JSON.parse(line) as Row;
    if (typeof row.name === "string" && typeof row.figures === "object" && typeof row.settings === "object") return row;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new UserError(
    "quality/not-results",
    `Line ${number} of ${path} is not a result of this measurement.`,
    "Name another file.",
  );
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return "";
    throw error;
  }
}
