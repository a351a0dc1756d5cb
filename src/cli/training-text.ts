import type { EncodePhase } from "../train/adapter/latents.ts";
import type { TrainingPhase, TrainingProgress } from "../train/run.ts";

/** What comes before the first step, in words. */
export function phaseText(phase: TrainingPhase | EncodePhase): string {
  if (phase.phase === "encode")
    return `${phase.pictures} pictures encoded in ${phase.seconds.toFixed(1)} s; peak memory ${gigabytes(phase.peakMemory)}`;
  if (phase.phase === "load") return `loaded in ${phase.seconds.toFixed(1)} s; peak memory ${gigabytes(phase.peakMemory)}`;
  const { weights, trained, widened, mapped, values, available } = phase;
  const parts = [
    `${gigabytes(trained)} for ${(weights / 1e6).toFixed(weights < 1e7 ? 2 : 0)} million trained weights with their optimiser`,
    `${gigabytes(mapped)} of frozen weights read in place`,
    `${gigabytes(widened)} of others`,
    `${gigabytes(values)} for values`,
  ];
  const short = trained + widened + mapped + values > available;
  const slow = "; the frozen weights do not all fit, so that every step reads them from the disk again";
  return `memory: about ${parts.join(", ")}; ${gigabytes(available)} are free${short ? slow : ""}`;
}

export const stepText = ({ step, steps, stepSeconds, peakMemory }: TrainingProgress): string =>
  `${step}/${steps}, ${stepSeconds.toFixed(1)} s a step, ${gigabytes(peakMemory)}`;

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
