import { type Dim, mulDims, sameDim } from "../dim.ts";
import { apply, fixedSize, type Op, shapeText, type Tensor } from "../tensor.ts";
import { mul } from "./elementwise.ts";
import { reshape } from "./layout.ts";
import { matmul } from "./matrix.ts";

export const gatherOp: Op = {
  name: "gather",
  shape: ([table, ids]) => [...ids!.shape, ...table!.shape.slice(1)],
  gradient: (dy, { inputs: [table, ids] }) => [() => scatterRows(dy, ids!, fixedSize(table!, 0)), undefined],
};
/** Rows of `table` [V, …] by `ids` [any] of type i64. */
export const gather = (table: Tensor, ids: Tensor): Tensor => apply(gatherOp, [table, ids], {});

export const takeRowsOp: Op = {
  name: "takeRows",
  shape: ([x, at]) => {
    if (!sameDim(x!.shape[0]!, at!.shape[0]!) || at!.shape.length !== 1)
      throw new TypeError(`${shapeText(at!.shape)} does not pick one row from each of ${shapeText(x!.shape)}`);
    return [x!.shape[0]!, ...x!.shape.slice(2)];
  },
  gradient: (dy, { inputs: [x, at] }) => [
    () => {
      const [b, s, c] = x!.shape as [Dim, Dim, Dim];
      return mul(reshape(oneHot(at!, s), [b, s, 1]), reshape(dy, [b, 1, c]));
    },
    undefined,
  ],
};
/** Row at[b] of each sequence of x [B, S, C]: [B, C]. */
export const takeRows = (x: Tensor, at: Tensor): Tensor => apply(takeRowsOp, [x, at], {});

export const oneHotOp: Op<{ depth: Dim }> = {
  name: "oneHot",
  shape: ([ids], { depth }) => [...ids!.shape, depth],
  dtype: () => "f32",
  gradient: () => [undefined],
};
/** 1 at each id, 0 elsewhere: ids [any] of type i64 give [any, depth]. */
export const oneHot = (ids: Tensor, depth: Dim): Tensor => apply(oneHotOp, [ids], { depth });

export const scatterRowsOp: Op<{ rows: number }> = {
  name: "scatterRows",
  shape: ([x, ids], { rows }) => [rows, ...x!.shape.slice(ids!.shape.length)],
  expand: ([x, ids], { rows }) => {
    const rest = x!.shape.slice(ids!.shape.length);
    const flat = reshape(x!, [mulDims(...ids!.shape), mulDims(...rest)]);
    const hot = oneHot(reshape(ids!, [mulDims(...ids!.shape)]), rows);
    return reshape(matmul(hot, flat, { transA: true }), [rows, ...rest]);
  },
  gradient: (dy, { inputs: [, ids] }) => [() => gather(dy, ids!), undefined],
};
/** A table of `rows` rows; row r is the sum of those rows of x [ids' shape, …] whose id is r. */
export const scatterRows = (x: Tensor, ids: Tensor, rows: number): Tensor => apply(scatterRowsOp, [x, ids], { rows });
