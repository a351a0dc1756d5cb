import { addDims, type Dim, divideDims, mulDims, sameDim } from "../dim.ts";
import { apply, type Op, type Shape, shapeText, type Tensor } from "../tensor.ts";

const axisOf = (axis: number, rank: number): number => {
  const at = axis < 0 ? axis + rank : axis;
  if (at < 0 || at >= rank) throw new TypeError(`axis ${axis} is outside a tensor of ${rank} axes`);
  return at;
};

export const reshapeOp: Op<{ shape: Shape }> = {
  name: "reshape",
  shape: ([x], { shape }) => {
    if (!sameDim(mulDims(...x!.shape), mulDims(...shape)))
      throw new TypeError(`cannot reshape ${shapeText(x!.shape)} to ${shapeText(shape)}`);
    return shape;
  },
};
/** The same values in another shape; one size may be -1 and follows from the others. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const open = shape.indexOf(-1);
  if (open < 0) return apply(reshapeOp, [x], { shape });
  const rest = mulDims(...shape.filter((_, i) => i !== open));
  const missing = divideDims(mulDims(...x.shape), rest);
  if (missing === undefined) throw new TypeError(`cannot reshape ${shapeText(x.shape)} to ${shapeText(shape)}`);
  return apply(reshapeOp, [x], { shape: shape.map((d, i) => (i === open ? missing : d)) });
}

export const permuteOp: Op<{ order: readonly number[] }> = {
  name: "permute",
  shape: ([x], { order }) => {
    if (order.length !== x!.shape.length || new Set(order).size !== order.length)
      throw new TypeError(`${order} is no order of the axes of ${shapeText(x!.shape)}`);
    return order.map((p) => x!.shape[axisOf(p, x!.shape.length)]!);
  },
};
/** Axes in another order: axis i of the result is axis order[i] of x. */
export const permute = (x: Tensor, order: readonly number[]): Tensor => apply(permuteOp, [x], { order });

export const concatOp: Op<{ axis: number }> = {
  name: "concat",
  shape: (xs, { axis }) => {
    const first = xs[0]!.shape;
    for (const x of xs)
      if (x.shape.length !== first.length || x.shape.some((d, i) => i !== axis && !sameDim(d, first[i]!)))
        throw new TypeError(`cannot join ${xs.map((t) => shapeText(t.shape)).join(" and ")} along axis ${axis}`);
    return first.map((d, i) => (i === axis ? addDims(...xs.map((x) => x.shape[i]!)) : d));
  },
};
export const concat = (xs: readonly Tensor[], axis: number): Tensor =>
  apply(concatOp, xs, { axis: axisOf(axis, xs[0]!.shape.length) });

export const sliceOp: Op<{ axis: number; start: number; size: Dim }> = {
  name: "slice",
  shape: ([x], { axis, start, size }) => {
    const whole = x!.shape[axis]!;
    if (typeof whole === "number" && typeof size === "number" && start + size > whole)
      throw new TypeError(`${size} from ${start} is outside axis ${axis} of ${shapeText(x!.shape)}`);
    return x!.shape.map((d, i) => (i === axis ? size : d));
  },
};
/** `size` elements from `start` along `axis`. */
export const slice = (x: Tensor, axis: number, start: number, size: Dim): Tensor =>
  apply(sliceOp, [x], { axis: axisOf(axis, x.shape.length), start, size });

export const broadcastToOp: Op<{ shape: Shape }> = {
  name: "broadcastTo",
  shape: ([x], { shape }) => {
    const offset = shape.length - x!.shape.length;
    if (offset < 0 || x!.shape.some((d, i) => d !== 1 && !sameDim(d, shape[offset + i]!)))
      throw new TypeError(`cannot broadcast ${shapeText(x!.shape)} to ${shapeText(shape)}`);
    return shape;
  },
};
/** Repeats axes of size 1, and adds leading ones. */
export const broadcastTo = (x: Tensor, shape: Shape): Tensor => apply(broadcastToOp, [x], { shape });

export const upsampleOp: Op<{ factor: number }> = {
  name: "upsample",
  shape: ([x], { factor }) => {
    const [b, c, h, w] = x!.shape;
    return [b!, c!, mulDims(h!, factor), mulDims(w!, factor)];
  },
};
/** Nearest-neighbour enlargement of [B, C, H, W] by a whole factor. */
export const upsample = (x: Tensor, factor: number): Tensor => apply(upsampleOp, [x], { factor });

export const gatherOp: Op = {
  name: "gather",
  shape: ([table, ids]) => [...ids!.shape, ...table!.shape.slice(1)],
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
};
/** From each sequence of x [B, S, C] the row at[b]: [B, C]. */
export const takeRows = (x: Tensor, at: Tensor): Tensor => apply(takeRowsOp, [x, at], {});
