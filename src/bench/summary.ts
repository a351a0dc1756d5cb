import type { MeasuredSize } from "./measure.ts";

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Seconds, but for the last two. */
export interface Summary {
  readonly text: number;
  readonly id: number;
  readonly evaluation: Spread;
  readonly decode: number;
  /** The whole of the first request: with what it had to load, and what a new size costs once. */
  readonly first: number;
  /** The whole of a later one. */
  readonly again: number | undefined;
  /** Of an evaluation, in FLOP. */
  readonly work: number;
  /** GFLOP/s that the median evaluation reached. */
  readonly speed: number;
}

export function summaryOf({ pictures, work }: Pick<MeasuredSize, "pictures" | "work">): Summary {
  const middle = (of: (picture: MeasuredSize["pictures"][number]) => number): number => spread(pictures.map(of)).median;
  const evaluation = spread(pictures.flatMap(({ evaluations }) => evaluations));
  const later = pictures.slice(1).map(({ total }) => total);
  return {
    text: middle(({ text }) => text),
    id: middle(({ id }) => id),
    evaluation,
    decode: middle(({ decode }) => decode),
    first: pictures[0]!.total,
    again: later.length === 0 ? undefined : spread(later).median,
    work: work.total,
    speed: work.total / 1e9 / evaluation.median,
  };
}

/** The median is the mean of the two in the middle where there are two. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError("no values have no spread");
  const sorted = values.toSorted((a, b) => a - b);
  const [below, above] = [sorted[(sorted.length - 1) >> 1]!, sorted[sorted.length >> 1]!];
  return { median: (below + above) / 2, min: sorted[0]!, max: sorted.at(-1)! };
}
