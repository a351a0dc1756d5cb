import type { Dim } from "../dim.ts";
import type { ParamAttrs } from "../ops/source.ts";
import type { Op, Tensor } from "../tensor.ts";

export type Attribute = number | string | readonly number[] | { readonly float: number };

export interface NodeOptions {
  readonly attrs?: Readonly<Record<string, Attribute>>;
  /** "" is ONNX itself, "com.microsoft" holds ONNX Runtime's additions. */
  readonly domain?: string;
  readonly outputs?: number;
}

/** Writes the nodes of a graph. Values are named by strings; "" stands for an optional input left out. */
export interface Emitter {
  /**
   * Adds a node and returns the name of its first output; output number i (from 1) is called that with `_i` appended. Nodes of the same type with
   * the same inputs and options become one.
   */
  node(type: string, inputs: readonly string[], options?: NodeOptions): string;
  ints(values: readonly number[]): string;
  floats(values: readonly number[], shape: readonly number[]): string;
  /** A weight, in the type that it is stored in. */
  weight(attrs: ParamAttrs): { readonly name: string; readonly isFloat32: boolean };
  /** A value of any type as float32. */
  widen(name: string): string;
  /** A weight that is float32 by now, times its scale where it has one. */
  scaled(name: string, attrs: ParamAttrs): string;
  /** A vector of sizes, computed at run time where they are symbolic. */
  dims(shape: readonly Dim[]): string;
}

/**
 * Writes one operation as nodes, given the names of its inputs; returns the name of the result, or undefined where the operation's expansion
 * is to be written instead.
 */
export type Lowering<A = unknown> = (y: Tensor<A>, inputs: readonly string[], e: Emitter) => string | undefined;

export type Lowerings = ReadonlyMap<Op, Lowering>;

/** Pairs an operation with its lowering, so that `attrs` has the operation's type. */
export const lower = <A>(op: Op<A>, lowering: Lowering<A>): readonly [Op, Lowering] => [op as Op, lowering as Lowering];
