import type { SchedulerFields } from "./config.ts";

export type Spacing = SchedulerFields["timestep_spacing"];

/** Rounds halves to even, as NumPy does. */
export function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}

/** numpy.linspace in float64. */
export function linspace(start: number, stop: number, n: number): number[] {
  const step = n > 1 ? (stop - start) / (n - 1) : 0;
  return Array.from({ length: n }, (_, i) => (i === n - 1 && n > 1 ? stop : start + i * step));
}

/** numpy.arange(from, 0, -step): its length and values as floating point makes them. */
function countDown(from: number, step: number): number[] {
  const length = Math.ceil(from / step);
  const delta = from - step - from;
  return Array.from({ length }, (_, i) => from + i * delta);
}

export interface SpacingOptions {
  readonly trainSteps: number;
  readonly steps: number;
  readonly offset: number;
  /** Whether linspace gives whole timesteps. */
  readonly whole: boolean;
}

/**
 * Timesteps of a sampling run, descending: Lin et al. 2023 (arXiv 2305.08891), table 2, as diffusers computes them.
 * Leading spacing may end above the last timestep, and trailing spacing may give one step more than requested.
 */
export function spacedTimesteps(spacing: Spacing, { trainSteps, steps, offset, whole }: SpacingOptions): number[] {
  if (spacing === "linspace") {
    const even = linspace(0, trainSteps - 1, steps).reverse();
    return whole ? even.map(roundHalfEven) : even.map(Math.fround);
  }
  if (spacing === "leading") {
    const ratio = Math.floor(trainSteps / steps);
    return Array.from({ length: steps }, (_, i) => (steps - 1 - i) * ratio + offset);
  }
  return countDown(trainSteps, trainSteps / steps).map((t) => roundHalfEven(t) - 1);
}

/**
 * {@link spacedTimesteps} for solvers that end before the last training step: linspace and leading spacing lay out steps + 1 timesteps and drop the last.
 * @param last largest timestep that is sampled
 */
export function solverTimesteps(
  spacing: Spacing,
  { trainSteps, steps, offset, last }: Omit<SpacingOptions, "whole"> & { readonly last: number },
): number[] {
  if (spacing === "linspace")
    return linspace(0, last - 1, steps + 1)
      .map(roundHalfEven)
      .reverse()
      .slice(0, -1);
  if (spacing === "leading") {
    const ratio = Math.floor(last / (steps + 1));
    return Array.from({ length: steps }, (_, i) => (steps - i) * ratio + offset);
  }
  return countDown(last, trainSteps / steps).map((t) => roundHalfEven(t) - 1);
}
