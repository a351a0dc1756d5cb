import { addDims, type Dim, divideDims, mulDims, sameDim } from "../dim.ts";
import { apply, type Op, type Shape, shapeText, type Tensor } from "../tensor.ts";

/** An axis as counted from the front. */
export const axisOf = (axis: number, rank: number): number => {
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
  gradient: (dy, { inputs: [x] }) => [() => reshape(dy, x!.shape)],
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
      throw new TypeError(`${order} is not an order of the axes of ${shapeText(x!.shape)}`);
    return order.map((p) => x!.shape[axisOf(p, x!.shape.length)]!);
  },
  gradient: (dy, { attrs: { order } }) => [
    () =>
      permute(
        dy,
        order.map((_, i) => order.indexOf(i)),
      ),
  ],
};
/** A transpose: axis i of the result is axis order[i] of x. */
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
  gradient: (dy, { inputs, attrs: { axis } }) =>
    inputs.map((x, i) => () => {
      const start = addDims(0, ...inputs.slice(0, i).map((before) => before.shape[axis]!));
      if (typeof start !== "number") throw new TypeError("the gradient of concat needs fixed sizes along its axis");
      return slice(dy, axis, start, x.shape[axis]!);
    }),
};
export const concat = (xs: readonly Tensor[], axis: number): Tensor =>
  apply(concatOp, xs, { axis: axisOf(axis, xs[0]!.shape.length) });

export interface SliceAttrs {
  readonly axis: number;
  readonly start: number;
  readonly size: Dim;
}

export const sliceOp: Op<SliceAttrs> = {
  name: "slice",
  shape: ([x], { axis, start, size }) => {
    const whole = x!.shape[axis]!;
    if (typeof whole === "number" && typeof size === "number" && start + size > whole)
      throw new TypeError(`${size} from ${start} is outside axis ${axis} of ${shapeText(x!.shape)}`);
    return x!.shape.map((d, i) => (i === axis ? size : d));
  },
  gradient: (dy, { inputs: [x], attrs: { axis, start } }) => [() => pad(dy, axis, start, x!.shape[axis]!)],
};
/** `size` elements from `start` along `axis`. */
export const slice = (x: Tensor, axis: number, start: number, size: Dim): Tensor =>
  apply(sliceOp, [x], { axis: axisOf(axis, x.shape.length), start, size });

export const padOp: Op<{ axis: number; start: number; size: Dim }> = {
  name: "pad",
  shape: ([x], { axis, start, size }) => {
    const inner = x!.shape[axis]!;
    if (typeof inner === "number" && typeof size === "number" && start + inner > size)
      throw new TypeError(`${shapeText(x!.shape)} from ${start} is outside ${size} along axis ${axis}`);
    return x!.shape.map((d, i) => (i === axis ? size : d));
  },
  gradient: (dy, { inputs: [x], attrs: { axis, start } }) => [() => slice(dy, axis, start, x!.shape[axis]!)],
};
/** Zeros, `size` of them along `axis`, with x in place from `start`. */
export const pad = (x: Tensor, axis: number, start: number, size: Dim): Tensor =>
  apply(padOp, [x], { axis: axisOf(axis, x.shape.length), start, size });

export const reduceSumOp: Op<{ axes: readonly number[]; keepDims: boolean }> = {
  name: "reduceSum",
  shape: ([x], { axes, keepDims }) => reducedShape(x!, axes, keepDims),
  gradient: (dy, { inputs: [x], attrs: { axes } }) => [() => broadcastReduced(dy, x!, axes)],
};
/** Sum over `axes`, or over all. */
export const reduceSum = (x: Tensor, axes?: readonly number[], keepDims = false): Tensor =>
  apply(reduceSumOp, [x], { axes: axesOf(x, axes), keepDims });

export const axesOf = (x: Tensor, axes?: readonly number[]): readonly number[] =>
  axes?.map((axis) => axisOf(axis, x.shape.length)) ?? x.shape.map((_, i) => i);
export const reducedShape = (x: Tensor, axes: readonly number[], keepDims: boolean): Shape =>
  keepDims ? x.shape.map((d, i) => (axes.includes(i) ? 1 : d)) : x.shape.filter((_, i) => !axes.includes(i));

/** dy repeated for every element of x that was reduced over `axes`. */
export const broadcastReduced = (dy: Tensor, x: Tensor, axes: readonly number[]): Tensor =>
  broadcastTo(reshape(dy, reducedShape(x, axes, true)), x.shape);

/** The sum of x over the axes that broadcasting from `shape` has repeated. */
export function reduceTo(x: Tensor, shape: Shape): Tensor {
  const added = x.shape.length - shape.length;
  const axes = x.shape.flatMap((d, i) => (i < added || (shape[i - added] === 1 && d !== 1) ? [i] : []));
  return axes.length === 0 ? x : reshape(reduceSum(x, axes), shape);
}

export const broadcastToOp: Op<{ shape: Shape }> = {
  name: "broadcastTo",
  shape: ([x], { shape }) => {
    const offset = shape.length - x!.shape.length;
    if (offset < 0 || x!.shape.some((d, i) => d !== 1 && !sameDim(d, shape[offset + i]!)))
      throw new TypeError(`cannot broadcast ${shapeText(x!.shape)} to ${shapeText(shape)}`);
    return shape;
  },
  gradient: (dy, { inputs: [x] }) => [() => reduceTo(dy, x!.shape)],
};
/** x with axes of size 1 repeated, and leading ones added. */
export const broadcastTo = (x: Tensor, shape: Shape): Tensor => apply(broadcastToOp, [x], { shape });
