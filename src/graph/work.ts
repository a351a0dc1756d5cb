import { dimValue } from "./dim.ts";
import { attentionOp } from "./ops/attention.ts";
import { conv2dOp } from "./ops/convolution.ts";
import { depthwiseConvOp } from "./ops/depthwise.ts";
import { linearOp, matmulOp } from "./ops/matrix.ts";
import { quantisedLinearOp } from "./ops/quantised.ts";
import { inOrder } from "./rewrite.ts";
import { is, type Op, type Shape, type Tensor } from "./tensor.ts";

/** Floating-point operations; a multiply-add counts as two. */
export interface Work {
  /** Linear layers and other matrix products. */
  readonly linear: number;
  readonly convolution: number;
  readonly attention: number;
  readonly total: number;
}

const LINEAR: ReadonlySet<Op> = new Set([linearOp, quantisedLinearOp as Op]);

/**
 * Work of computing `outputs` once. Matrix products, convolutions and attention are counted, which are nearly all of it; sums, norms and
 * activations are not.
 * @param sizes values of the graph's named sizes
 * @throws TypeError if a size has no value
 */
export function workOf(outputs: readonly Tensor[], sizes: ReadonlyMap<string, number>): Work {
  const count = (shape: Shape): number => shape.reduce<number>((product, d) => product * dimValue(d, sizes), 1);
  const length = (t: Tensor, axis: number): number => dimValue(t.shape.at(axis)!, sizes);
  let [linear, convolution, attention] = [0, 0, 0];
  for (const t of inOrder(outputs)) {
    const [a, b] = t.inputs as [Tensor, Tensor];
    if (LINEAR.has(t.op)) linear += 2 * count(t.shape) * length(a, -1);
    else if (is(t, matmulOp)) linear += 2 * count(t.shape) * length(a, t.attrs.transA ? -2 : -1);
    else if (is(t, conv2dOp) || is(t, depthwiseConvOp)) convolution += 2 * count(t.shape) * count(b.shape.slice(1));
    else if (is(t, attentionOp)) attention += 2 * length(b, -2) * (count(a.shape) + count(t.shape)); // scores, then the mix
  }
  return { linear, convolution, attention, total: linear + convolution + attention };
}
