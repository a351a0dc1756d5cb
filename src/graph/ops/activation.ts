import { apply, expansion, type Op, type Tensor } from "../tensor.ts";
import { add, erf, exp, mul, neg, relu, sigmoid, sub } from "./elementwise.ts";
import { scalar } from "./source.ts";

/** y = x · s(x) with slope s·(1 + k·(x - y)), for s the sigmoid of k·x. */
const gated = (name: string, k: number): Op => ({
  name,
  shape: ([x]) => x!.shape,
  expand: ([x]) => mul(x!, sigmoid(k === 1 ? x! : mul(x!, k))),
  gradient: (dy, y) => {
    const [x, gate] = expansion(y).inputs as [Tensor, Tensor];
    const rest = sub(x, y);
    return [() => mul(dy, mul(gate, add(k === 1 ? rest : mul(rest, k), 1)))];
  },
});

/** x · σ(x): Elfwing et al. 2017 (arXiv 1702.03118). */
export const siluOp = gated("silu", 1);
/** x · σ(1.702 x), the form of GELU that OpenAI's CLIP uses. */
export const quickGeluOp = gated("quickGelu", 1.702);
/** x · Φ(x) with the exact normal distribution: Hendrycks and Gimpel 2016 (arXiv 1606.08415). */
export const geluOp: Op = {
  name: "gelu",
  shape: ([x]) => x!.shape,
  expand: ([x]) => mul(x!, mul(add(erf(mul(x!, Math.SQRT1_2)), 1), 0.5)),
  // Φ(x) + x · φ(x)
  gradient: (dy, y) => {
    const [x, below] = expansion(y).inputs as [Tensor, Tensor];
    const root = mul(x, Math.SQRT1_2); // as in the expansion
    const density = exp(sub(scalar(-0.5 * Math.log(2 * Math.PI)), mul(root, root)));
    return [() => mul(dy, add(below, mul(x, density)))];
  },
};
export const silu = (x: Tensor): Tensor => apply(siluOp, [x], {});
export const gelu = (x: Tensor): Tensor => apply(geluOp, [x], {});
export const quickGelu = (x: Tensor): Tensor => apply(quickGeluOp, [x], {});

/** x where it is above 0, else x · slope: He et al. 2015 (arXiv 1502.01852). */
export const preluOp: Op = {
  name: "prelu",
  shape: ([x]) => x!.shape,
  expand: ([x, slope]) => sub(relu(x!), mul(relu(neg(x!)), slope!)),
};
/** @param slope broadcasts to x */
export const prelu = (x: Tensor, slope: Tensor): Tensor => apply(preluOp, [x, slope], {});

/** x · min(max(x + 3, 0), 6) / 6: Howard et al. 2019 (arXiv 1905.02244). */
export const hardSwishOp: Op = {
  name: "hardSwish",
  shape: ([x]) => x!.shape,
  expand: ([x]) => mul(x!, mul(sub(relu(add(x!, 3)), relu(sub(x!, 3))), 1 / 6)),
};
export const hardSwish = (x: Tensor): Tensor => apply(hardSwishOp, [x], {});
