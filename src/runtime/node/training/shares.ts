import type { Parameter } from "./parameter.ts";

/** Consecutive numbers of one group. */
export interface Piece {
  readonly offset: number;
  readonly length: number;
  readonly group: number;
}

/** A parameter that is updated as a matrix [rows, columns]; a convolution's weight [out, in, k, k] becomes [out, in · k · k]. */
export interface Matrix extends Piece {
  readonly rows: number;
  readonly columns: number;
}

/** The parameters that one worker updates. */
export interface Share {
  readonly pieces: readonly Piece[];
  readonly matrices: readonly Matrix[];
}

/** Divides parameters among workers so that each has about the same work: single numbers evenly, and whole matrices. */
export function shares(parameters: readonly Parameter[], count: number): Share[] {
  const single = parameters.filter(({ orthogonal }) => !orthogonal);
  const matrices = matrixShares(parameters.filter(({ orthogonal }) => orthogonal).map(matrixOf), count);
  const total = single.reduce((sum, { length }) => sum + length, 0);
  return matrices.map((own, index) => {
    const [from, to] = [Math.floor((total * index) / count), Math.floor((total * (index + 1)) / count)];
    const pieces: Piece[] = [];
    let before = 0;
    for (const { offset, length, group } of single) {
      const [start, end] = [Math.max(from - before, 0), Math.min(to - before, length)];
      if (start < end) pieces.push({ offset: offset + start, length: end - start, group });
      before += length;
    }
    return { pieces, matrices: own };
  });
}

/** Indices from `from` up to, but without, `to`. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Ranges of a share, in order, with adjacent ones merged. */
export function rangesOf({ pieces, matrices }: Share): Range[] {
  const ranges: { from: number; to: number }[] = [];
  for (const { offset, length } of [...pieces, ...matrices].toSorted((a, b) => a.offset - b.offset)) {
    const last = ranges.at(-1);
    if (last?.to === offset) last.to += length;
    else ranges.push({ from: offset, to: offset + length });
  }
  return ranges;
}

function matrixOf({ name, dims, offset, length, group }: Parameter): Matrix {
  if (dims.length < 2) throw new TypeError(`${name} is not a matrix`);
  return { offset, length, group, rows: dims[0]!, columns: length / dims[0]! };
}

/** Assigns matrices, those with most work first, each to the worker with least work so far. */
function matrixShares(matrices: readonly Matrix[], count: number): Matrix[][] {
  const work = ({ rows, columns }: Matrix): number => Math.min(rows, columns) ** 2 * Math.max(rows, columns);
  const loads = Array.from({ length: count }, (): { matrices: Matrix[]; work: number } => ({ matrices: [], work: 0 }));
  for (const matrix of matrices.toSorted((a, b) => work(b) - work(a))) {
    const least = loads.reduce((a, b) => (b.work < a.work ? b : a));
    least.matrices.push(matrix);
    least.work += work(matrix);
  }
  return loads.map((load) => load.matrices);
}
