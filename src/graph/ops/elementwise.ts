import { type Dim, sameDim } from "../dim.ts";
import { apply, type Op, type Shape, shapeText, type Tensor } from "../tensor.ts";
import { reduceTo } from "./layout.ts";
import { scalar } from "./source.ts";

type Gradient = NonNullable<Op["gradient"]>;

/** The common shape of `a` and `b` by NumPy's rules of broadcasting. */
export function broadcastShapes(a: Shape, b: Shape): Shape {
  const n = Math.max(a.length, b.length);
  return Array.from({ length: n }, (_, i): Dim => {
    const p = a[a.length - n + i] ?? 1;
    const q = b[b.length - n + i] ?? 1;
    if (!sameDim(p, q) && p !== 1 && q !== 1) throw new TypeError(`cannot broadcast ${shapeText(a)} with ${shapeText(b)}`);
    return p === 1 ? q : p;
  });
}

const binary = (name: string, gradient: Gradient): Op => ({
  name,
  shape: ([a, b]) => broadcastShapes(a!.shape, b!.shape),
  gradient,
});
const lift = (y: Tensor | number): Tensor => (typeof y === "number" ? scalar(y) : y);

export const addOp = binary("add", (dy, { inputs: [a, b] }) => [() => reduceTo(dy, a!.shape), () => reduceTo(dy, b!.shape)]);
export const subOp = binary("sub", (dy, { inputs: [a, b] }) => [() => reduceTo(dy, a!.shape), () => neg(reduceTo(dy, b!.shape))]);
export const mulOp = binary("mul", (dy, { inputs: [a, b] }) => [
  () => reduceTo(mul(dy, b!), a!.shape),
  () => reduceTo(mul(dy, a!), b!.shape),
]);
export const divOp = binary("div", (dy, y) => {
  const [a, b] = y.inputs as [Tensor, Tensor];
  return [() => reduceTo(div(dy, b), a.shape), () => neg(reduceTo(div(mul(dy, y), b), b.shape))];
});
export const add = (x: Tensor, y: Tensor | number): Tensor => apply(addOp, [x, lift(y)], {});
export const sub = (x: Tensor | number, y: Tensor | number): Tensor => apply(subOp, [lift(x), lift(y)], {});
export const mul = (x: Tensor, y: Tensor | number): Tensor => apply(mulOp, [x, lift(y)], {});
export const div = (x: Tensor | number, y: Tensor | number): Tensor => apply(divOp, [lift(x), lift(y)], {});

const unary = (name: string, slope: (x: Tensor, y: Tensor) => Tensor): Op => ({
  name,
  shape: ([x]) => x!.shape,
  gradient: (dy, y) => [() => mul(dy, slope(y.inputs[0]!, y))],
});
const TWO_OVER_ROOT_PI = 2 / Math.sqrt(Math.PI);

export const negOp: Op = { name: "neg", shape: ([x]) => x!.shape, gradient: (dy) => [() => neg(dy)] };
export const sigmoidOp = unary("sigmoid", (_, y) => mul(y, sub(1, y)));
export const tanhOp = unary("tanh", (_, y) => sub(1, mul(y, y)));
export const erfOp = unary("erf", (x) => mul(exp(neg(mul(x, x))), TWO_OVER_ROOT_PI));
export const sinOp = unary("sin", (x) => cos(x));
export const cosOp = unary("cos", (x) => neg(sin(x)));
export const expOp = unary("exp", (_, y) => y);
export const logOp = unary("log", (x) => div(1, x));
export const sqrtOp = unary("sqrt", (_, y) => div(0.5, y));
/** |x|; its slope at 0 is 0. */
export const absOp = unary("abs", (x) => sign(x));
export const signOp: Op = { name: "sign", shape: ([x]) => x!.shape, gradient: (dy) => [() => mul(dy, 0)] };
export const reluOp = unary("relu", (_, y) => sign(y));
export const neg = (x: Tensor): Tensor => apply(negOp, [x], {});
export const sigmoid = (x: Tensor): Tensor => apply(sigmoidOp, [x], {});
export const tanh = (x: Tensor): Tensor => apply(tanhOp, [x], {});
export const erf = (x: Tensor): Tensor => apply(erfOp, [x], {});
export const sin = (x: Tensor): Tensor => apply(sinOp, [x], {});
export const cos = (x: Tensor): Tensor => apply(cosOp, [x], {});
/** e to the power of x. */
export const exp = (x: Tensor): Tensor => apply(expOp, [x], {});
/** Natural logarithm. */
export const log = (x: Tensor): Tensor => apply(logOp, [x], {});
export const sqrt = (x: Tensor): Tensor => apply(sqrtOp, [x], {});
export const abs = (x: Tensor): Tensor => apply(absOp, [x], {});
/** -1, 0 or 1. */
export const sign = (x: Tensor): Tensor => apply(signOp, [x], {});
/** The larger of x and 0. */
export const relu = (x: Tensor): Tensor => apply(reluOp, [x], {});
