import { join } from "node:path";
import { UserError } from "../../core/errors.ts";
import { readJsonIfThere } from "../../weights/read-json.node.ts";
import { SCORES_FILE, type Scores } from "./scores.ts";

/** Reads what `evaluate score` wrote into a run's folder. @throws UserError evaluate/no-scores */
export async function readScores(run: string): Promise<Scores> {
  const found = (await readJsonIfThere(join(run, SCORES_FILE))) as unknown as Scores | undefined;
  if (found?.version === 1 && Array.isArray(found.pictures) && typeof found.figures === "object") return found;
  throw new UserError(
    "evaluate/no-scores",
    found === undefined ? `${run} has no ${SCORES_FILE}.` : `${join(run, SCORES_FILE)} is not what this version writes.`,
    `Score it first: photomaker evaluate score ${run}.`,
  );
}
