import type { TensorEntry } from "../../weights/tensor-entry.ts";
import type { Dim } from "../dim.ts";
import { apply, type DType, type Op, type Shape, type Tensor } from "../tensor.ts";

/** A value that is given for each run. */
export const inputOp: Op<{ name: string; shape: Shape; dtype: DType }> = {
  name: "input",
  shape: (_, a) => a.shape,
  dtype: (_, a) => a.dtype,
};
export const input = (name: string, shape: Shape, dtype: DType = "f32"): Tensor => apply(inputOp, [], { name, shape, dtype });

/** A weight: where its bytes are. Whatever type it is stored in, it is used as float32. */
export interface ParamAttrs {
  readonly path: string;
  readonly entry: TensorEntry;
}
export const paramOp: Op<ParamAttrs> = { name: "param", shape: (_, a) => a.entry.shape, dtype: () => "f32" };
export const param = (path: string, entry: TensorEntry): Tensor<ParamAttrs> => apply(paramOp, [], { path, entry });

/** Numbers known while the graph is built. */
export const constantOp: Op<{ values: readonly number[]; shape: readonly number[]; dtype: DType }> = {
  name: "constant",
  shape: (_, a) => a.shape,
  dtype: (_, a) => a.dtype,
};
export const constant = (values: readonly number[], shape: readonly number[], dtype: DType = "f32"): Tensor =>
  apply(constantOp, [], { values, shape, dtype });
export const scalar = (value: number): Tensor => constant([value], []);

/** 0, 1, 2 … as numbers, for positions whose count is known only when the graph runs. */
export const rangeOp: Op<{ count: Dim }> = { name: "range", shape: (_, a) => [a.count], dtype: () => "f32" };
/** [count] */
export const range = (count: Dim): Tensor => apply(rangeOp, [], { count });
