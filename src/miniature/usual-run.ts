import type { TrainingTask } from "../train/run.ts";
import type { DataSet } from "./data-set.ts";

/** Length, key and optimiser of a stage's training; a stage that needs another setting says so itself. */
export const usualRun = (
  { people, seed: world }: Pick<DataSet, "people" | "seed">,
  { steps, batch, seed }: { readonly steps: number; readonly batch: number; readonly seed: number },
): Pick<TrainingTask, "steps" | "seed" | "config"> & Required<Pick<TrainingTask, "beta2" | "clip" | "emaDecay">> => ({
  steps,
  seed,
  config: { batch, people, data: world },
  beta2: 0.99,
  clip: 1,
  emaDecay: 0.998,
});
