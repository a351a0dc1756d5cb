import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const embedded = fileURLToPath(new URL("../../fixtures/", import.meta.url));
const full = process.env.PHOTOMAKER_GOLDEN;

/** Path of a golden file: in the full set named by PHOTOMAKER_GOLDEN if it has it, else in `fixtures/`. */
export function goldenPath(...parts: string[]): string {
  const wide = full === undefined ? undefined : resolve(full, ...parts);
  return wide !== undefined && existsSync(wide) ? wide : resolve(embedded, ...parts);
}

/** Whether the golden file is at hand: some are only in the full set. */
export const hasGolden = (...parts: string[]): boolean => existsSync(goldenPath(...parts));

/** The one meaning of "close": the worst difference, absolute or over the largest |expected|. */
export function compare(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  relative: boolean,
): { pass: boolean; message: string } {
  if (actual.length !== expected.length)
    return { pass: false, message: `${actual.length} values where ${expected.length} are expected` };
  let worst = -1;
  let at = -1;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = actual[i] === expected[i] ? 0 : Math.abs(actual[i]! - expected[i]!);
    largest = Math.max(largest, Math.abs(expected[i]!));
    if (difference > worst || Number.isNaN(difference)) {
      worst = difference;
      at = i;
      if (Number.isNaN(difference)) break;
    }
  }
  const error = relative && largest > 0 ? worst / largest : worst;
  const pass = error <= tolerance; // false for NaN
  const verb = pass ? "matches" : "differs";
  return {
    pass,
    message: `${verb}: worst at ${at}: ${actual[at]} where ${expected[at]} is expected (${relative ? "relative" : "absolute"} error ${error}, tolerance ${tolerance})`,
  };
}
