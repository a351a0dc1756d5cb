import { gigabytes } from "../../core/gigabytes.ts";
import type { EncodePhase } from "../../train/adapter/latents.ts";
import type { TrainingPhase, TrainingProgress } from "../../train/run.ts";

/** Describes a phase before the first step. */
export function phaseText(phase: TrainingPhase | EncodePhase): string {
  if (phase.phase === "encode")
    return `${phase.pictures} pictures encoded in ${phase.seconds.toFixed(1)} s; peak memory ${gigabytes(phase.peakMemory)}`;
  if (phase.phase === "load") return `loaded in ${phase.seconds.toFixed(1)} s; peak memory ${gigabytes(phase.peakMemory)}`;
  const { weights, least, mapped, available } = phase;
  const someAway = least <= available && available < least + mapped;
  const slow = someAway ? "; they do not all fit, so every step reads some from the disk again" : "";
  const inPlace = mapped > 0 ? `, and ${gigabytes(mapped)} of frozen weights read in place${slow}` : "";
  const trained = `${(weights / 1e6).toFixed(weights < 1e8 ? 2 : 0)} million trained parameters`;
  return `${trained}; memory: about ${gigabytes(least)}${inPlace}; ${gigabytes(available)} free`;
}

export const stepText = ({ step, steps, stepSeconds, peakMemory }: TrainingProgress): string =>
  `${step}/${steps}, ${stepSeconds.toFixed(1)} s a step, ${gigabytes(peakMemory)}`;
