/** Course of the learning rate over a run, as a share of its highest value. */
export interface RateShape {
  readonly kind: "constant" | "cosine" | "linear";
  /** Steps during which it rises from 0. */
  readonly warmUp: number;
  /** Share of the steps after warm-up before it begins to fall. */
  readonly flat: number;
}

/** @param step 0-based */
export function rateShare({ kind, warmUp, flat }: RateShape, step: number, steps: number): number {
  if (step < warmUp) return (step + 1) / warmUp;
  if (kind === "constant") return 1;
  const fall = warmUp + flat * (steps - warmUp);
  if (step <= fall) return 1;
  const done = Math.min(1, (step - fall) / (steps - fall));
  return kind === "cosine" ? (1 + Math.cos(Math.PI * done)) / 2 : 1 - done; // Loshchilov and Hutter 2016 (arXiv 1608.03983)
}
