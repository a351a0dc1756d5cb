import { conv2dOp } from "./ops/convolution.ts";
import { linearOp } from "./ops/matrix.ts";
import { type ParamAttrs, paramOp } from "./ops/source.ts";
import { is, type Tensor } from "./tensor.ts";

/** The weight of a linear layer or a convolution, if it comes from a file. */
export function weightOf(y: Tensor): Tensor<ParamAttrs> | undefined {
  const weight = is(y, linearOp) || is(y, conv2dOp) ? y.inputs[1]! : undefined;
  return weight !== undefined && is(weight, paramOp) ? weight : undefined;
}

/** The path of that weight, such as `down_blocks.1.attentions.0.proj_in.weight`. */
export const weightPathOf = (y: Tensor): string | undefined => weightOf(y)?.attrs.path;
