import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeFileAtomically } from "../core/atomic-file.node.ts";
import { systemCode, UserError } from "../core/errors.ts";
import { makeFolder } from "../core/make-folder.node.ts";
import type { Figure } from "../evaluate/statistics/bootstrap.ts";
import { mean, sampleDeviation } from "../evaluate/statistics/moments.ts";
import type { AdapterFigures } from "./score.ts";

/** Result of one adapter: trained and evaluated. */
export interface AblationRow {
  readonly variant: string;
  readonly seed: number;
  readonly figures: AdapterFigures;
}

/** Options shared by all runs of a folder. */
export type AblationSettings = Readonly<Record<string, string | number>>;

const resultsPath = (folder: string): string => join(folder, "results.jsonl");

/** Reads the finished runs, in their order. */
export async function readAblations(folder: string): Promise<AblationRow[]> {
  const text = await readIfThere(resultsPath(folder));
  return (text ?? "").split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as AblationRow]));
}

/** Writes the runs atomically, one line of JSON each. */
export const writeAblations = (folder: string, rows: readonly AblationRow[]): Promise<void> =>
  write(resultsPath(folder), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));

/**
 * Records the options of a folder's runs, or checks that they are unchanged: other figures could not be compared.
 * @throws UserError ablations/other-settings
 */
export async function keepSettings(folder: string, settings: AblationSettings): Promise<void> {
  const path = join(folder, "settings.json");
  const text = await readIfThere(path);
  if (text === undefined) return write(path, `${JSON.stringify(settings, null, 2)}\n`);
  const kept = JSON.parse(text) as AblationSettings;
  const differing = [...new Set([...Object.keys(kept), ...Object.keys(settings)])].filter((key) => kept[key] !== settings[key]);
  if (differing.length > 0)
    throw new UserError(
      "ablations/other-settings",
      `The runs in ${folder} have other options: ${differing.map((key) => `${key} was ${kept[key]} and is ${settings[key]}`).join("; ")}.`,
      "To continue those runs, use their options; to start anew, choose another folder.",
    );
}

const FIGURES = ["faceSimShare", "faceSim", "rank1", "hairStyle", "eyeColour", "hairColour", "textLoss"] as const;
export type AblationFigure = (typeof FIGURES)[number];

export interface AblationSummary {
  readonly variant: string;
  readonly seeds: number;
  /** Means over the seeds, with their standard errors; null if there is only one seed. */
  readonly figures: Readonly<Record<AblationFigure, { readonly value: number; readonly error: number | null }>>;
}

/** Summarises each variant, in order of first appearance. */
export function summariseAblations(rows: readonly AblationRow[]): AblationSummary[] {
  return [...new Set(rows.map(({ variant }) => variant))].map((variant) => {
    const own = rows.filter((row) => row.variant === variant);
    const figures = FIGURES.map((name) => {
      const values = own.map((row) => (row.figures[name] as Figure).value);
      const error = values.length > 1 ? sampleDeviation(values) / Math.sqrt(values.length) : null;
      return [name, { value: mean(values), error }] as const;
    });
    return { variant, seeds: own.length, figures: Object.fromEntries(figures) as AblationSummary["figures"] };
  });
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function write(path: string, text: string): Promise<void> {
  await makeFolder(dirname(path));
  await writeFileAtomically(path, (sink) => sink.write(new TextEncoder().encode(text)));
}
