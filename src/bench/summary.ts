import type { MeasuredSize } from "./measure.ts";

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Summary of one size and batch, in seconds unless stated. */
export interface Summary {
  readonly text: number;
  readonly id: number;
  readonly evaluation: Spread;
  readonly decode: number;
  /** The whole first request, with loading and the one-time cost of a new size. */
  readonly first: number;
  /** The whole of a later request. */
  readonly again: number | undefined;
  /** Work of an evaluation, in FLOP. */
  readonly work: number;
  /** GFLOP/s of the median evaluation. */
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

/** Median, least and greatest value. The median of an even number of values is the mean of the middle two. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError("no values have no spread");
  const sorted = values.toSorted((a, b) => a - b);
  const [below, above] = [sorted[(sorted.length - 1) >> 1]!, sorted[sorted.length >> 1]!];
  return { median: (below + above) / 2, min: sorted[0]!, max: sorted.at(-1)! };
}
