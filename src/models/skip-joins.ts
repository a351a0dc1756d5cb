import { concatOp } from "../graph/ops/layout.ts";
import { inOrder } from "../graph/rewrite.ts";
import { is, type Tensor } from "../graph/tensor.ts";

/**
 * Concatenations of what comes up from below with what was kept on the way down (the skip connections), inputs `[below, skip]`: from the
 * deepest, whose `below` is what the middle block gives, to the outermost, whose `skip` comes of the first convolution.
 * @param outputs of a graph of {@link unet}, rewritten or not
 */
export const skipJoins = (outputs: readonly Tensor[]): Tensor[] =>
  inOrder(outputs).filter((t) => is(t, concatOp) && t.attrs.axis === 1 && t.shape.length === 4);
