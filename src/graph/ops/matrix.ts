import { mulDims, sameDim } from "../dim.ts";
import { apply, type Op, shapeText, size, type Tensor } from "../tensor.ts";
import { add, broadcastShapes } from "./elementwise.ts";
import { permute, reduceSum, reduceTo, reshape } from "./layout.ts";

export interface MatmulAttrs {
  /** Whether the last two axes of a are transposed first. */
  readonly transA: boolean;
  readonly transB: boolean;
  /** A factor of the product. */
  readonly scale: number;
}
export const matmulOp: Op<MatmulAttrs> = {
  name: "matmul",
  shape: ([a, b], { transA, transB }) => {
    if (!sameDim(size(a!, transA ? -2 : -1), size(b!, transB ? -1 : -2)))
      throw new TypeError(`cannot multiply ${shapeText(a!.shape)} by ${shapeText(b!.shape)}`);
    const batch = broadcastShapes(a!.shape.slice(0, -2), b!.shape.slice(0, -2));
    return [...batch, size(a!, transA ? -1 : -2), size(b!, transB ? -2 : -1)];
  },
  gradient: (dy, { inputs, attrs: { transA, transB, scale } }) => {
    const [a, b] = inputs as [Tensor, Tensor];
    const da = (): Tensor =>
      transA ? matmul(b, dy, { transA: transB, transB: true, scale }) : matmul(dy, b, { transB: !transB, scale });
    const db = (): Tensor =>
      transB ? matmul(dy, a, { transA: true, transB: transA, scale }) : matmul(a, dy, { transA: !transA, scale });
    return [() => reduceTo(da(), a.shape), () => reduceTo(db(), b.shape)];
  },
};
/** scale · a·b over the last two axes, each transposed first if asked. */
export const matmul = (a: Tensor, b: Tensor, { transA = false, transB = false, scale = 1 }: Partial<MatmulAttrs> = {}): Tensor =>
  apply(matmulOp, [a, b], { transA, transB, scale });

/** x with all leading axes merged into one. */
const rowsOf = (x: Tensor): Tensor => (x.shape.length === 2 ? x : reshape(x, [mulDims(...x.shape.slice(0, -1)), size(x, -1)]));

export const linearOp: Op = {
  name: "linear",
  shape: ([x, w]) => {
    if (!sameDim(size(x!, -1), size(w!, 1)))
      throw new TypeError(`input ${shapeText(x!.shape)} does not fit weight ${shapeText(w!.shape)}`);
    return [...x!.shape.slice(0, -1), size(w!, 0)];
  },
  expand: ([x, w, b]) => {
    const y = matmul(x!, permute(w!, [1, 0]));
    return b === undefined ? y : add(y, b);
  },
  gradient: (dy, { inputs: [x, w] }) => {
    const rows = rowsOf(dy);
    return [() => matmul(dy, w!), () => matmul(rows, rowsOf(x!), { transA: true }), () => reduceSum(rows, [0])];
  },
};
/** x·Wᵀ (+ b) over the last axis: x [..., in], w [out, in], b [out]. */
export const linear = (x: Tensor, w: Tensor, b?: Tensor): Tensor => apply(linearOp, b === undefined ? [x, w] : [x, w, b], {});
