import { apply, type Op, type Tensor } from "../tensor.ts";

/** The same values, through which no gradient flows. */
export const detachOp: Op = { name: "detach", shape: ([x]) => x!.shape, gradient: () => [] };
export const detach = (x: Tensor): Tensor => apply(detachOp, [x], {});
