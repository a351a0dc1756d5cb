import { type Dim, sameDim } from "../dim.ts";
import { apply, type Op, type Shape, shapeText, type Tensor } from "../tensor.ts";
import { scalar } from "./source.ts";

/** NumPy's broadcasting. */
export function broadcastShapes(a: Shape, b: Shape): Shape {
  const n = Math.max(a.length, b.length);
  return Array.from({ length: n }, (_, i): Dim => {
    const p = a[a.length - n + i] ?? 1;
    const q = b[b.length - n + i] ?? 1;
    if (!sameDim(p, q) && p !== 1 && q !== 1) throw new TypeError(`cannot broadcast ${shapeText(a)} with ${shapeText(b)}`);
    return p === 1 ? q : p;
  });
}

const binary = (name: string): Op => ({ name, shape: ([a, b]) => broadcastShapes(a!.shape, b!.shape) });
const lift = (y: Tensor | number): Tensor => (typeof y === "number" ? scalar(y) : y);

export const addOp = binary("add");
export const subOp = binary("sub");
export const mulOp = binary("mul");
export const divOp = binary("div");
export const add = (x: Tensor, y: Tensor | number): Tensor => apply(addOp, [x, lift(y)], {});
export const sub = (x: Tensor, y: Tensor | number): Tensor => apply(subOp, [x, lift(y)], {});
export const mul = (x: Tensor, y: Tensor | number): Tensor => apply(mulOp, [x, lift(y)], {});
export const div = (x: Tensor, y: Tensor | number): Tensor => apply(divOp, [x, lift(y)], {});

const unary = (name: string, expand?: (x: Tensor) => Tensor): Op => ({
  name,
  shape: ([x]) => x!.shape,
  ...(expand === undefined ? {} : { expand: ([x]: readonly Tensor[]) => expand(x!) }),
});

export const sigmoidOp = unary("sigmoid");
export const erfOp = unary("erf");
export const sinOp = unary("sin");
export const cosOp = unary("cos");
export const sigmoid = (x: Tensor): Tensor => apply(sigmoidOp, [x], {});
export const erf = (x: Tensor): Tensor => apply(erfOp, [x], {});
export const sin = (x: Tensor): Tensor => apply(sinOp, [x], {});
export const cos = (x: Tensor): Tensor => apply(cosOp, [x], {});

/** x · σ(x): Elfwing et al. 2017 (arXiv 1702.03118). */
export const siluOp = unary("silu", (x) => mul(x, sigmoid(x)));
/** x · Φ(x) with the exact normal distribution: Hendrycks and Gimpel 2016 (arXiv 1606.08415). */
export const geluOp = unary("gelu", (x) => mul(mul(x, 0.5), add(erf(mul(x, Math.SQRT1_2)), 1)));
/** x · σ(1.702 x), the form of GELU that OpenAI's CLIP uses. */
export const quickGeluOp = unary("quickGelu", (x) => mul(x, sigmoid(mul(x, 1.702))));
export const silu = (x: Tensor): Tensor => apply(siluOp, [x], {});
export const gelu = (x: Tensor): Tensor => apply(geluOp, [x], {});
export const quickGelu = (x: Tensor): Tensor => apply(quickGeluOp, [x], {});
