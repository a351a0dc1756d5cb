import type { Dim } from "./dim.ts";
import { sameDim } from "./dim.ts";

export type Shape = readonly Dim[];
export type DType = "f32" | "i64";

/** A value that will exist when the graph runs: how it is made, its shape and its type. Plain data. */
export interface Tensor<A = unknown> {
  readonly op: Op<A>;
  readonly inputs: readonly Tensor[];
  readonly attrs: A;
  readonly shape: Shape;
  readonly dtype: DType;
}

/** Everything the engine knows about one operation. Every operation has one output. */
export interface Op<A = unknown> {
  readonly name: string;
  /** Shape of the result. Throws a TypeError if the inputs do not fit. */
  shape(inputs: readonly Tensor[], attrs: A): Shape;
  /** Type of the result; without it, that of the first input. */
  dtype?(inputs: readonly Tensor[], attrs: A): DType;
  /** The same value from simpler operations, for targets without a lowering of their own. */
  expand?(inputs: readonly Tensor[], attrs: A): Tensor;
  /**
   * d(loss)/d(input) for each input, given dy = d(loss)/dy, as functions of which only the wanted ones are called; undefined for inputs without
   * one, such as integers. An operation that lacks `gradient` is differentiated through its expansion.
   */
  gradient?(dy: Tensor, y: Tensor<A>): readonly ((() => Tensor) | undefined)[];
}

export function apply<A>(op: Op<A>, inputs: readonly Tensor[], attrs: A): Tensor<A> {
  const dtype = op.dtype?.(inputs, attrs) ?? inputs[0]?.dtype ?? "f32";
  return { op, inputs, attrs, shape: op.shape(inputs, attrs), dtype };
}

const expansions = new WeakMap<Tensor, Tensor>();

/** The operation's expansion: always the same tensor, so that a gradient shares its parts with what computes y. */
export function expansion<A>(y: Tensor<A>): Tensor {
  const known = expansions.get(y);
  if (known !== undefined) return known;
  if (y.op.expand === undefined) throw new TypeError(`"${y.op.name}" has no expansion`);
  const value = y.op.expand(y.inputs, y.attrs);
  expansions.set(y, value);
  return value;
}
/** The expansion, if anything has asked for it yet. */
export const knownExpansion = (y: Tensor): Tensor | undefined => expansions.get(y);

export const is = <A>(t: Tensor, op: Op<A>): t is Tensor<A> => t.op === (op as Op);

export const shapeText = (shape: Shape): string => `[${shape.map((d) => (typeof d === "number" ? d : d.key)).join(", ")}]`;

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((d, i) => sameDim(d, b[i]!));

/** Size along `axis`, which counts from the end when negative. */
export function size(t: Tensor, axis: number): Dim {
  const d = t.shape.at(axis);
  if (d === undefined) throw new RangeError(`axis ${axis} is outside ${shapeText(t.shape)}`);
  return d;
}

/** A size that must be known while the graph is built, such as a channel count. */
export function fixedSize(t: Tensor, axis: number): number {
  const d = size(t, axis);
  if (typeof d !== "number") throw new TypeError(`axis ${axis} of ${shapeText(t.shape)} must be a number here`);
  return d;
}
