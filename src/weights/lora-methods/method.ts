import { product, transposeMatrix, tucker } from "../lora-products.ts";
import { elementCount } from "../tensor-entry.ts";

/** A tensor of a LoRA file that has been read. */
export interface LoraPart {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Shapes of a method's parts, by their names in {@link LoraMethod.parts}. */
export type PartShapes = Readonly<Record<string, readonly number[] | undefined>>;
export type Parts = Readonly<Record<string, LoraPart | undefined>>;

/** A weight [out, in] or [out, in, k, k], or a vector. */
export interface LoraWeight {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** How a file of LoRA's kin changes a weight. */
export interface LoraMethod {
  readonly name: string;
  /** Names of its parts. */
  readonly parts: readonly string[];
  /** Names of parts that are needed beside those that are there. */
  missing(parts: PartShapes): readonly string[];
  /** Whether parts of these shapes change a weight of this shape. */
  fits(parts: PartShapes, weight: readonly number[]): boolean;
  /** The rank that alpha is divided by; undefined where alpha is not used so. */
  rank?(parts: PartShapes): number | undefined;
  /** What is added to the weight at strength 1, before it is scaled by alpha / rank. */
  difference?(parts: Parts, weight: LoraWeight): Float32Array;
  /** The changed weight, for methods that multiply. @param alpha 0 if the file has none */
  change?(parts: Parts, weight: LoraWeight, strength: number, alpha: number): Float32Array;
}

/** A shape as rows and columns: kernels belong to the columns. */
export const rowsAndColumns = ([rows = 1, ...rest]: readonly number[]): readonly [number, number] => [rows, elementCount(rest)];
export const sameSizes = (a: readonly number[] | undefined, b: readonly number[]): boolean =>
  a !== undefined && `${a}` === `${b}`;
/** The two shapes multiply, and give `rows` x `columns`. */
export function multiplies(
  a: readonly number[] | undefined,
  b: readonly number[] | undefined,
  rows: number,
  columns: number,
): boolean {
  if (a === undefined || b === undefined || a.length < 2 || b.length < 2) return false;
  const [left, right] = [rowsAndColumns(a), rowsAndColumns(b)];
  return left[0] === rows && left[1] === right[0] && right[1] === columns;
}
/** outer · core · inner of {@link tucker} gives [rows, columns, kernel]. @param outer, inner as [rows, rank] and [rank, columns] */
export function tuckerFits(
  outer: readonly number[] | undefined,
  core: readonly number[] | undefined,
  inner: readonly number[] | undefined,
  [rows, columns, ...kernel]: readonly number[],
): boolean {
  if (outer === undefined || core === undefined || inner === undefined || core.length < 2) return false;
  return (
    sameSizes(rowsAndColumns(outer), [rows!, core[0]!]) &&
    sameSizes(rowsAndColumns(inner), [core[1]!, columns!]) &&
    elementCount(core.slice(2)) === elementCount(kernel)
  );
}
export const columnsIn = ({ shape }: LoraPart): number => rowsAndColumns(shape)[1];
export const multiplied = (a: LoraPart, b: LoraPart): Float32Array =>
  product(a.values, b.values, rowsAndColumns(a.shape)[0], rowsAndColumns(b.shape)[0], columnsIn(b));

export const allOf =
  (...names: readonly string[]) =>
  (parts: PartShapes): readonly string[] =>
    names.filter((name) => parts[name] === undefined);

/** `tucker` where the outer factor is stored as [rank, rows]. */
export function tuckerOf(core: LoraPart, inner: LoraPart, outer: LoraPart): Float32Array {
  const [rank, rows] = rowsAndColumns(outer.shape);
  const [a, b, ...kernel] = core.shape as [number, number, ...number[]];
  return tucker(transposeMatrix(outer.values, rank, rows), core.values, inner.values, [
    rows,
    a,
    b,
    columnsIn(inner),
    elementCount(kernel),
  ]);
}
export const turnedShape = (shape: readonly number[] | undefined): readonly number[] | undefined =>
  shape && [rowsAndColumns(shape)[1], rowsAndColumns(shape)[0]];
