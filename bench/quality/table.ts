import type { Compared, SingleFigure } from "../../src/miniature/score.ts";
import { shortcutText } from "./configurations.ts";
import { type Row, timeOf } from "./results.ts";

/** Heading and digits of each column; with the difference to the reference for some. */
const COLUMNS: Readonly<Partial<Record<SingleFigure, readonly [string, number]>>> = {
  faceSimShare: ["likeness", 3],
  rank1: ["right of the crowd", 2],
  hairStyle: ["hair style", 2],
  hairColour: ["hair colour", 2],
  eyeColour: ["eye colour", 2],
  textAccuracy: ["text", 3],
  textLoss: ["text lost, points", 1],
};
const COMPARED: readonly SingleFigure[] = ["faceSimShare", "textAccuracy"];

/** Formats a Markdown table, fastest first. */
export function markdown(rows: readonly Row[]): string {
  const columns = Object.entries(COLUMNS) as [SingleFigure, readonly [string, number]][];
  const headings = columns.flatMap(([name, [heading]]) => (COMPARED.includes(name) ? [heading, "difference"] : [heading]));
  const lines = rows
    .toSorted((a, b) => timeOf(a) - timeOf(b))
    .map((row) => [
      `${row.configuration.sampling.numInferenceSteps}`,
      [shortcutText(row.configuration.sampling)].map((text) => (text === "" ? "" : `\`${text}\``)).join(""),
      row.configuration.precision,
      row.seconds.toFixed(2),
      `${Math.round(timeOf(row) * 100)}%`,
      ...columns.flatMap(([name, [, digits]]) => cells(row.figures[name], digits, COMPARED.includes(name))),
    ]);
  const all = [["steps", "shortcut", "precision", "seconds", "time", ...headings], ...lines];
  const rule = `|${"---|".repeat(all[0]!.length)}`;
  return all
    .map((cells) => `| ${cells.join(" | ")} |`)
    .toSpliced(1, 0, rule)
    .join("\n");
}

function cells({ value, error, difference, differenceError }: Compared, digits: number, compared: boolean): string[] {
  const own = `${value.toFixed(digits)} ± ${error.toFixed(digits)}`;
  return compared ? [own, `${signed(difference, digits)} ± ${differenceError.toFixed(digits)}`] : [own];
}

function signed(value: number, digits: number): string {
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? text : `${value < 0 ? "−" : "+"}${text}`;
}
